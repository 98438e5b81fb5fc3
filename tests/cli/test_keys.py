import contextlib
import itertools
import os
import pty
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live.support.desk import Desk

from cli.keys import KEYS, Act, Keyboard, KeyDecoder, Terminal, shown_db, stepped
from streamer.live.mixing.state import StemState

STEMS = ["drums", "bass", "other", "vocals"]


@pytest.fixture
def run(tmp_path):
    return Desk(tmp_path)


def press(run, *keys):
    keyboard = Keyboard(run)
    return [keyboard.press(key) for key in keys]


# meanings --------------------------------------------------------------------------------------


def test_numbers_mute_and_shifted_numbers_solo(run):
    assert press(run, "1", "4", "!", "$", "1") == [
        "drums muted",
        "vocals muted",
        "drums solo",
        "vocals solo",
        "drums on",
    ]
    assert run.mixer.state.stems["drums"] == StemState(solo=True)
    assert run.mixer.state.stems["vocals"] == StemState(mute=True, solo=True)
    assert press(run, "!") == ["drums no longer solo"]


def test_the_key_after_l_is_what_a_controller_learns_and_does_nothing_else(run):
    before = run.mixer.state
    told = press(
        run, "l", "right", "up", "l", "4", "l", "!", "l", "+", "l", "d", "l", "l", "l", "q"
    )
    assert run.learned == [
        "/stem/bass/gain",
        "/stem/vocals/mute",
        "/stem/drums/solo",
        "/master/gain",
        "/dry",
    ]
    assert told[2] == "learn: move a knob or press a button for /stem/bass/gain"
    assert run.mixer.state == before
    assert run.ended == 1
    assert press(run, "l", "l", "d")[-1] == "dry"


def test_p_shows_one_page_after_the_other_and_any_key_leads_back(run):
    keyboard = Keyboard(run, lambda: 2)
    before = run.mixer.state
    assert keyboard.page is None
    shown = []
    for key in ["p", "P", "p", "p", "1", "p", "x", "p", "q"]:
        assert keyboard.press(key) == ""
        shown.append(keyboard.page)
    assert shown == [0, 1, None, 0, None, 0, None, 0, None]
    assert run.mixer.state is before
    assert not run.ended
    assert keyboard.press("1") == "drums muted"


def test_p_without_a_page_says_how_to_have_one(run):
    assert press(run, "p") == ["there is no page; --page 8080 serves one"]
    assert press(run, "l", "p", "d", "d")[-1] == "dry"


@pytest.mark.parametrize("row", ["!@#$%^", '!"£$%^', '!"§$%&', '!"·$%&'])
def test_shifted_numbers_on_several_keyboards(row):
    assert [KEYS[sign].stem for sign in row] == list(range(6))
    assert {KEYS[sign].act for sign in row} == {Act.SOLO}


def test_every_stem_of_a_six_stem_model_has_its_keys(tmp_path):
    run = Desk(tmp_path, stems=[*STEMS, "guitar", "piano"])
    assert press(run, "6", "^") == ["piano muted", "piano solo"]


def test_numbers_past_the_last_stem_do_nothing(run):
    before = run.mixer.state
    assert press(run, "5", "6", "%") == [""] * 3
    assert run.mixer.state is before


def test_arrows_select_and_set_the_gain(run):
    keyboard = Keyboard(run)
    assert keyboard.selected == "drums"
    assert keyboard.press("left") == "vocals selected"
    assert keyboard.press("right") == "drums selected"
    assert keyboard.press("down") == "drums -1.0 dB"
    keyboard.press("3")
    assert keyboard.selected == "other"
    assert [keyboard.press("up") for _ in range(2)] == ["other +1.0 dB", "other +2.0 dB"]
    assert keyboard.press("m") == "other on"
    assert keyboard.press("s") == "other solo"


def test_the_whole(run):
    assert press(run, "-", "-", "+", "d", "D", "q") == [
        "master -1.0 dB",
        "master -2.0 dB",
        "master -1.0 dB",
        "dry",
        "stems",
        "quit",
    ]
    assert run.ended == 1


@pytest.mark.parametrize("key", ["x", "", " ", "\n", "\x1b", "é", "up down"])
def test_other_keys_do_nothing(run, key):
    before = run.mixer.state
    assert press(run, key) == [""]
    assert run.mixer.state is before


@pytest.mark.parametrize(
    ("gain_db", "step", "expected"),
    [
        (0, 1, 1),
        (0, -1, -1),
        (-2.6, 1, -2),
        (12, 1, 12),
        (11.7, 1, 12),
        (-60, -1, -90),
        (-90, -1, -90),
        (-90, 1, -60),
        (-75, 1, -90),
    ],
)
def test_a_step_stays_on_the_fader(gain_db, step, expected):
    assert stepped(gain_db, step) == expected


def test_gains_for_people():
    assert [shown_db(gain) for gain in (-90, 0, -3.04, 12)] == [
        "off",
        "+0.0 dB",
        "-3.0 dB",
        "+12.0 dB",
    ]


# bytes -----------------------------------------------------------------------------------------

TYPED = [
    (b"1q", ["1", "q"]),
    (b"\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"]),
    (b"\x1bOA\x1bOD", ["up", "left"]),
    (b"\x1b[1;2A1", ["up", "1"]),
    ("£é".encode(), ["£", "é"]),
    (b"\x1b[5~\x1b[15;5~\x1bOPd", ["d"]),  # page up, ctrl F5, F1
    (b"\x1bqd", ["d"]),  # alt q is not q
    (b"\x1b\x1b[D", ["left"]),  # alt left, as some terminals send it: not d
    (b"\x1b[\x1b[Ad", ["up", "d"]),
    (b"\xff1", ["\ufffd", "1"]),
]


@pytest.mark.parametrize(("data", "keys"), TYPED)
def test_bytes_to_keys(data, keys):
    assert KeyDecoder().feed(data) == keys


@given(st.lists(st.sampled_from(TYPED), max_size=5), st.lists(st.integers(0, 40), max_size=6))
def test_any_split_of_the_bytes_gives_the_same_keys(typed, cuts):
    data = b"".join(one for one, _ in typed)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    decoder = KeyDecoder()
    keys = [key for a, b in itertools.pairwise(edges) for key in decoder.feed(data[a:b])]
    assert keys == [key for _, one in typed for key in one]


def test_the_escape_key_alone_takes_nothing_with_it():
    decoder = KeyDecoder()
    assert decoder.feed(b"\x1b") == []
    decoder.flush()
    assert decoder.feed(b"[") == ["["]


@given(st.binary(max_size=60))
def test_any_bytes_are_taken(data):
    KeyDecoder().feed(data)


# a terminal ------------------------------------------------------------------------------------


@pytest.fixture
def line():
    ours, theirs = pty.openpty()
    yield ours, theirs
    for fd in (ours, theirs):
        with contextlib.suppress(OSError):
            os.close(fd)


def test_a_terminal_gives_keys_at_once_and_is_left_as_it_was(line):
    ours, theirs = line
    before = termios.tcgetattr(theirs)
    with Terminal(theirs) as keys:
        during = termios.tcgetattr(theirs)
        assert not during[3] & (termios.ICANON | termios.ECHO)
        assert during[3] & termios.ISIG
        os.write(ours, b"1\x1b[A")
        assert keys.read(10) == ["1", "up"]
        assert keys.read() == []
    assert termios.tcgetattr(theirs) == before


def test_the_escape_key_ends_when_nothing_follows(line):
    ours, theirs = line
    with Terminal(theirs) as keys:
        os.write(ours, b"\x1b")
        assert [keys.read(10), keys.read()] == [[], []]
        os.write(ours, b"d")
        assert keys.read(10) == ["d"]


def test_a_terminal_is_left_as_it_was_after_an_error(line):
    _, theirs = line
    before = termios.tcgetattr(theirs)
    with pytest.raises(KeyboardInterrupt), Terminal(theirs):
        raise KeyboardInterrupt
    assert termios.tcgetattr(theirs) == before


def test_a_terminal_that_a_shell_has_set_back_is_taken_again(line):
    ours, theirs = line
    before = termios.tcgetattr(theirs)
    with Terminal(theirs) as keys:
        termios.tcsetattr(theirs, termios.TCSANOW, before)
        assert keys.read() == []
        os.write(ours, b"d")
        assert keys.read(10) == ["d"]
    assert termios.tcgetattr(theirs) == before


def test_a_terminal_that_goes_away_gives_no_more_keys(line):
    ours, theirs = line
    with Terminal(theirs) as keys:
        os.close(ours)
        assert [keys.read(0.01) for _ in range(3)] == [[]] * 3


def test_what_is_no_terminal_gives_no_keys():
    reading, writing = os.pipe()
    try:
        os.write(writing, b"qqq")
        with Terminal(reading) as keys:
            assert keys.read(0.01) == []
        assert os.read(reading, 10) == b"qqq"
    finally:
        os.close(reading)
        os.close(writing)


def test_without_a_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with Terminal() as keys:
        assert keys.read() == []
