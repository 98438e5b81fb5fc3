"""A controller on real MIDI ports: JACK's, since the machine may have no sequencer of ALSA's."""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live.support.desk import Desk
from live.support.servers import Server, wait_until

from streamer.live.control.midi.link import MidiLink, find_controller, open_link
from streamer.live.devices.jack import CLIENT_NAME
from streamer.live.status import Status

rtmidi = pytest.importorskip("rtmidi", reason="python-rtmidi is that of the extra midi")
if not hasattr(rtmidi, "API_UNIX_JACK") or rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api():
    pytest.skip("python-rtmidi was built without JACK", allow_module_level=True)


def plugged() -> tuple[Any, Any]:
    """A controller: what it sends by, and what it takes."""
    sends = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, "nanoKONTROL2 (capture)")
    takes = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, "nanoKONTROL2 (playback)")
    sends.open_virtual_port("CTRL")
    takes.open_virtual_port("CTRL")
    return sends, takes


def ports_of_jack() -> list[str]:
    """Return JACK's ports for MIDI."""
    sides = [kind(rtmidi.API_UNIX_JACK, "looks") for kind in (rtmidi.MidiIn, rtmidi.MidiOut)]
    names = [name for side in sides for name in side.get_ports()]
    for side in sides:
        side.delete()
    return names


@contextmanager
def controller() -> Iterator[tuple[Any, Any]]:
    """A controller that is unplugged at the end."""
    sends, takes = plugged()
    try:
        yield sends, takes
    finally:
        for side in (sends, takes):
            side.close_port()
            side.delete()


def test_a_real_port_moves_values_lights_lamps_and_may_go_and_come_back(
    jack: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    desk, told = Desk(tmp_path), list[str]()
    with controller() as (sends, takes):
        link = open_link(desk, Status, find_controller("nano"), told.append)
        sweep(link, sends, lambda: desk.mixer.state.stems["drums"].pan == 1)
        sends.send_message([0xB0, 48, 127])
        until(link, lambda: desk.mixer.state.stems["drums"].mute)
        ours = [name for name in ports_of_jack() if "stemstream" in name]
        assert ours
        assert not [name for name in ours if re.match(rf"{CLIENT_NAME}(-\d+)?:", name)]
        lamps: list[Any] = []
        until(link, lambda: [0xB0, 48, 127] in collected(takes, lamps))
        link.learn("/master/gain")
        for place in (50, 60, 95, 127):
            sends.send_message([0xB0, 77, place])
        until(link, lambda: desk.mixer.state.master_db == 12)
    until(link, lambda: told[-1].endswith("is gone; it is used again when it is back"))
    with controller() as (sends, _):
        until(link, lambda: told[-1].endswith("is back"))
        sweep(link, sends, lambda: desk.mixer.state.stems["bass"].pan == 1, knob=17)
        link.close()
    assert len(told) == 4
    (kept,) = (tmp_path / "stemstream" / "midi").iterdir()
    assert '"cc 77" = "/master/gain"' in kept.read_text()


def test_a_jack_server_that_ends_takes_nothing_with_it(jack: Server, tmp_path: Path) -> None:
    desk, told = Desk(tmp_path), list[str]()
    for side in plugged():  # freed without their server, JACK's clients crash
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(side))
    link = open_link(desk, Status, find_controller("nano", tmp_path / "map"), told.append)
    jack.kill()
    until(link, lambda: told[-1].endswith("is gone; it is used again when it is back"))
    jack.start()
    with controller() as (sends, _):
        sweep(link, sends, lambda: desk.mixer.state.stems["drums"].pan == 1)
        link.close()
    assert told[-1].endswith("is back")


def until(link: MidiLink, holds: Any) -> None:
    """Step the link until something has come through the server."""

    def stepped() -> bool:
        link.step(time.monotonic())
        return bool(holds())

    wait_until(stepped)


def sweep(link: MidiLink, sends: Any, holds: Any, knob: int = 16) -> None:
    """Turn a knob to and fro until that moves a value: JACK connects ports in its own time."""

    def swept() -> bool:
        for place in (0, 127):
            sends.send_message([0xB0, knob, place])
        return bool(holds())

    until(link, swept)


def collected(takes: Any, lamps: list[Any]) -> list[Any]:
    lamps += [message for message, _ in iter(takes.get_message, None)]
    return lamps
