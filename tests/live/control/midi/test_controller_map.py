"""Maps in TOML: read, written, refused; the ready ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import SettingsError
from streamer.live.control.midi.controller_map import (
    Binding,
    ControllerMap,
    dump_map,
    load_map,
    parse_map,
    ready_map,
    resolved,
    save_map,
)
from streamer.live.control.midi.signals import Signal, read, write

SIGNALS = st.one_of(
    st.builds(Signal, st.sampled_from(["cc", "note"]), st.integers(0, 127), st.integers(1, 16)),
    st.builds(Signal, st.just("pitch"), st.just(0), st.integers(1, 16)),
)
BYTE = st.integers(0, 127)
BINDINGS = st.builds(
    Binding,
    to=st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: f"/{text}"),
    value=st.one_of(
        st.none(), st.text(st.characters(exclude_categories=["Cs"])), st.floats(-90, 12)
    ),
    press=st.sampled_from(["latched", "held"]),
    turn=st.sampled_from(["absolute", "offset", "twos-complement", "sign-bit"]),
    fine=st.booleans(),
    lamp=st.one_of(st.none(), st.tuples(BYTE, BYTE)),
    echo=st.booleans(),
)


@given(
    st.builds(ControllerMap, st.dictionaries(SIGNALS, BINDINGS, max_size=4), st.text('aé "\x7f'))
)
def test_a_map_is_read_back_as_it_was_written(controller):
    assert parse_map(dump_map(controller)) == controller


def test_a_saved_map_takes_the_place_of_the_old_one_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "maps" / "mine.toml"
    for address in ("/dry", "/master/gain"):
        save_map(path, ControllerMap({Signal("cc", 7): Binding(address)}))
    assert load_map(path).controls == {Signal("cc", 7): Binding("/master/gain")}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[controls]\n7 = '/dry'", r"7 is no MIDI signal; try one like cc 7"),
        ("[controls]\n'cc 128' = '/dry'", "cc 128 is no MIDI signal"),
        ("[controls]\n'cc 7 channel 17' = '/dry'", "no MIDI signal"),
        ("[controls]\n'cc 7' = 'dry'", "cc 7: to=dry must be an address; try /stem/vocals/gain"),
        ("[controls]\n'cc 7' = 3", "cc 7 must be an address or a table"),
        ("[controls]\n'cc 7' = { press = 'held' }", "cc 7 must say what it moves"),
        ("[controls]\n'cc 7' = { to = '/dry', pres = 'held' }", "try press"),
        ("[controls]\n'cc 7' = { to = '/dry', press = 1 }", "press=1 must be latched or held"),
        ("[controls]\n'cc 7' = { to = '/dry', lamp = 1 }", "must be two numbers from 0 to 127"),
        ("[controls]\n'cc 7' = { to = '/dry', value = nan }", "value=nan must be a text or a"),
        ("[controls]\n'cc 7' = { to = '/dry', fine = 1 }", "fine=1 must be true or false"),
        ("control = 1", "control is nothing a map knows; try controls"),
        ("controls = 1", "controls must be a table"),
        ("name = 1", "name=1 must be a text"),
        ("[controls", "this is no valid TOML"),
        (f"a = {'[' * 9999}", "this is no valid TOML"),
    ],
)
def test_a_wrong_map_is_refused_in_one_sentence_with_its_file(tmp_path, monkeypatch, text, told):
    monkeypatch.chdir(tmp_path)
    path = Path("map.toml")
    path.write_text(text)
    with pytest.raises(SettingsError, match=told) as refused:
        load_map(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_what_is_no_map_at_all_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none", tmp_path / "nul\0"):
        with pytest.raises(SettingsError, match=r"midi_map=.*map in TOML"):
            load_map(path)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"midi_map=.*map in TOML"):
        load_map(binary)


def test_ready_maps_are_found_by_the_name_of_the_port():
    korg, akai = ready_map("nanoKONTROL2 SLIDER/KNOB"), ready_map("APC MINI:APC MINI MIDI 1 28:0")
    assert korg is not None
    assert akai is not None
    assert korg.controls[Signal("cc", 0)] == Binding("/stem/#1/gain")
    assert akai.controls[Signal("cc", 56)] == Binding("/master/gain")
    assert akai.controls[Signal("note", 0)] == Binding("/stem/#1/mute", lamp=(3, 0))
    assert ready_map("Midi Through Port-0 14:0") is None


def test_a_number_stands_for_the_name_in_that_place():
    known = [
        "/stem/drums/gain",
        "/stem/drums/pan",
        "/stem/bass/gain",
        "/listener/ann/stem/bass/gain",
    ]
    assert resolved("/stem/#2/gain", known) == "/stem/bass/gain"
    assert resolved("/stem/#3/gain", known) is None
    assert resolved("/stem/#0/gain", known) is None
    assert resolved("/dry", known) == "/dry"


@given(SIGNALS, BYTE)
def test_what_is_written_to_a_control_reads_as_its_own_move(signal, value):
    event = read(write(signal, value))
    assert event is not None
    assert (event.signal, event.value) == (signal, value)


@pytest.mark.parametrize(
    "message",
    [b"", b"\xb0", b"\xb0\x07", b"\xf8", b"\xc0\x01", b"\xf0\x7e\x01\xf7", b"\xb0\x80\x01"],
)
def test_what_is_no_control_is_no_event(message):
    assert read(message) is None
