"""The live screen at several widths, on a terminal that is resized, and where there is none."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.picture import TOO_SMALL, bar, facts, picture, scale
from streamer.live.mixing.mixer import Mixer
from streamer.live.mixing.routes import parse_route
from streamer.live.status import Meter, Reason, State, Status

STEMS = ("drums", "bass", "other", "vocals")
STATUS = Status(
    State.DEGRADED,
    Reason.OVERLOAD,
    detail="wider hop",
    model="htdemucs_mini",
    samplerate=48000,
    played_frames=48000 * 83,
    delay_seconds=0.825,
    xruns=1,
    dropped_frames=235806,
    deadline_misses=1,
    device_losses=2,
    load=0.57,
    stems={"vocals": Meter(1.0, 0.25), "drums": Meter(0.5, 0.01)},
    outputs={"wide": [Meter(0.5, 0.1), Meter(0.5, 0.1), *[Meter()] * 6]},
    recording="take-001 00:00:12, 10:00:00 left",
)
TOLD = ("3 of the last 200 windows took too long: as planned -> wider hop", "OSC: no")


def shown(width: int, height: int = 40, status: Status = STATUS) -> list[str]:
    mixer = Mixer(STEMS, {"wide": 8}, [parse_route("mix=1,2")])
    size = (width, height)
    return [str(one) for one in picture(status, mixer.state, "bass", "bass muted", TOLD, size)]


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_the_screen_wraps_and_cuts_no_counter(width: int) -> None:
    lines = shown(width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for fact in facts(STATUS):
        assert fact in text
    for words in ("q quit", "+ - master", "1-4 mute", "left", TOLD[-1], "bass muted", "recording"):
        assert words in text


@pytest.mark.parametrize("height", [5, 12, 16, 24])
def test_a_low_terminal_keeps_the_state_and_the_keys(height: int) -> None:
    lines = shown(80, height)
    assert len(lines) <= height
    assert lines[0].startswith("degraded (windows came too late: wider hop): htdemucs_mini")
    assert lines[-1].endswith("q quit")


def test_a_reason_longer_than_the_terminal_is_wrapped_too() -> None:
    status = replace(STATUS, detail="the model failed on " + "x" * 90)
    lines = shown(60, status=status)
    assert max(map(len, lines)) <= 60
    assert "x" * 90 in "".join(lines)


def test_one_is_told_as_one() -> None:
    one = facts(STATUS)
    assert {"1 xrun", "1 missed window", "2 device losses", "235,806 frames dropped"} <= set(one)
    many = facts(replace(STATUS, xruns=2, dropped_frames=1, deadline_misses=0, device_losses=1))
    assert {"2 xruns", "1 frame dropped", "0 missed windows", "1 device loss"} <= set(many)


@pytest.mark.parametrize("cells", [12, 24, 48])
def test_meters_have_a_scale_in_decibels(cells: int) -> None:
    marks = scale(cells)
    assert len(marks) == cells
    assert marks.endswith("0")
    assert marks.startswith("-60")
    for mark in re.finditer(r"-\d+", marks):
        if mark.start():
            full = bar(Meter(0.0, 10 ** (int(mark.group()) / 20)), cells)
            assert str(full).count("█") == mark.end()
    assert str(bar(Meter(1.0, 1.0), cells)).count("░") == 0


def test_only_channels_that_something_plays_on_have_meters() -> None:
    assert sum(line.strip().startswith("wide") for line in shown(80)) == 2


# a terminal -----------------------------------------------------------------------------------

HERE = str(Path(__file__).parent)
SHOW = """
import sys
from queue import SimpleQueue
from cli.standard import claim
claim()
sys.path.insert(0, {tests!r})
from cli.live_page import Pages
from cli.screen import show
from test_picture import Run, served
show(Run(), SimpleQueue(), {pages})
print("then", file=sys.stderr)
"""


class Run:
    """A run that ends with the key q, or after three looks where there are no keys."""

    def __init__(self) -> None:
        self.mixer = Mixer(STEMS, {"wide": 8}, [parse_route("mix=1,2")])
        self.ended = False
        self.waits = 0

    def quit(self) -> None:
        self.ended = True

    def load_scene(self, path: str) -> None:
        """Not here."""

    def wait(self, seconds: float) -> bool:
        self.waits += seconds > 0
        return self.ended or self.waits > 3

    def status(self) -> Status:
        return STATUS if self.waits < 3 else replace(STATUS, state=State.STOPPED)


class Screen:
    """A terminal with a run on it, and what it was sent."""

    def __init__(self, width: int, height: int, pages: str = "Pages()", **environment: str) -> None:
        self.ours, theirs = pty.openpty()
        self.resize(width, height)
        kept = ("COLUMNS", "LINES", "PYTHONIOENCODING", "PYTHONUTF8", "LC_ALL", "LANG")
        clean = {name: value for name, value in os.environ.items() if name not in kept}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SHOW.format(tests=HERE, pages=pages)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=clean | {"TERM": "xterm", "LC_ALL": "C.UTF-8"} | environment,
        )
        os.close(theirs)
        self.sent = b""

    def resize(self, width: int, height: int) -> None:
        """Make it as large."""
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def rest(self) -> bytes:
        """Read until the run has ended, and return all that was kept."""
        while select.select([self.ours], [], [], 60)[0]:
            try:
                data = os.read(self.ours, 65536)
            except OSError:  # how Linux tells that nobody writes any more
                break
            self.sent += data
        assert self.process.wait(60) == 0
        os.close(self.ours)
        return self.sent

    def frame(self, width: int, height: int) -> list[str]:
        """Read the next picture of a size: its lines, without colours."""
        self.sent = b""
        while self.sent.count(b"\x1b[H") < 200:
            for drawn in self.sent.split(b"\x1b[H")[1:-1]:
                lines = [plain(line) for line in drawn.split(b"\r\n")]
                if len(lines) == height and all(len(line) == width for line in lines):
                    return lines
            before = len(self.sent)
            assert select.select([self.ours], [], [], 60)[0]
            self.sent += os.read(self.ours, 65536)
            assert len(self.sent) > before
        raise AssertionError(self.sent[-5000:])

    def end(self) -> bytes:
        """Press q and read the rest."""
        os.write(self.ours, b"q")
        return self.rest()


def plain(sent: bytes, encoding: str = "utf-8") -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent.decode(encoding)).rstrip("\r\n")


def test_a_resized_terminal_is_drawn_whole_and_left_as_it_was() -> None:
    screen = Screen(100, 30)
    assert any("1 missed window" in line for line in screen.frame(100, 30))
    for width, height in ((60, 24), (140, 40), (80, 24)):
        screen.resize(width, height)
        lines = screen.frame(width, height)
        assert "degraded (windows came too late: wider hop)" in lines[0]
        assert any("2 device losses" in line for line in lines)
    assert b"\x1b[?1049l" in screen.end()


def served() -> Any:
    """A page's server, as the screen knows it, for the network."""
    from streamer.live.control.page.links import Links
    from streamer.live.control.page.roles import Tokens

    view = SimpleNamespace(listeners=("drummer",))
    links = Links(view, Tokens("our-room"), lambda: ("192.0.2.7", 8080))  # type: ignore[arg-type]
    return SimpleNamespace(links=links, is_local=False)


def test_key_p_shows_the_qr_codes_on_the_live_screen_until_another_key() -> None:
    pytest.importorskip("segno", reason="the page is an extra: pip install 'stemstream[page]'")
    links, screen = served().links, Screen(100, 30, "Pages(served())")
    assert any("p page" in line for line in screen.frame(100, 30))
    for role in links.roles():
        os.write(screen.ours, b"p")
        code = links.text(role).splitlines()
        while links.url(role) not in (lines := screen.frame(100, 30))[0]:
            pass
        assert [line.rstrip() for line in lines[1 : 1 + len(code)]] == code
    screen.resize(100, 12)
    while TOO_SMALL not in "".join(screen.frame(100, 12)):
        pass
    os.write(screen.ours, b"x")
    while "degraded" not in screen.frame(100, 12)[0]:
        pass
    screen.end()


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "latin-1"}], ids=["C", "Latin-1"]
)
def test_a_terminal_without_unicode_gets_ascii(environment: dict[str, str]) -> None:
    screen = Screen(80, 24, **environment)
    lines = screen.frame(80, 24)
    assert any(re.search(r"#+\.+\|\.*", line) for line in lines)
    assert screen.end().isascii()


def test_a_dumb_terminal_gets_plain_lines_and_no_word_twice() -> None:
    screen = Screen(80, 24, TERM="dumb")
    sent = screen.rest()
    assert b"\x1b" not in sent
    assert sent.decode().splitlines() == [", ".join(facts(STATUS)), "then"]


@pytest.mark.parametrize("forced", [{}, {"FORCE_COLOR": "1"}], ids=["", "colours forced"])
def test_a_pipe_gets_plain_lines_and_stopped_is_left_to_who_ends_the_run(
    forced: dict[str, str],
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(tests=HERE, pages="Pages()")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | forced,
    )
    lines = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr).splitlines()
    assert lines == [", ".join(facts(STATUS)), "then"]
    assert done.stdout == ""
