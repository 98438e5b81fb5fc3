"""What `stemstream doctor` says of JACK, MIDI and the page."""

from __future__ import annotations

from streamer.live.control.midi.ports import RtMidiPorts
from streamer.live.devices.jack import JackBackend
from streamer.live.devices.portaudio_library import quiet_libraries
from streamer.words import counted


def jack() -> str:
    """Return which server plays for JACK's programs, and how.

    Raises:
        DeviceError: none does.
    """
    backend = JackBackend()
    (device,) = backend.devices()
    blocks = f"blocks of {device.block_frames} frames"
    return f"{backend.server} at {device.samplerate} Hz, with {blocks}"


def midi() -> str:
    """Return the controllers that `live --midi` can use.

    Raises:
        SettingsError: python-rtmidi is not installed.
        DeviceError: this machine has no MIDI.
    """
    with quiet_libraries():
        ports = RtMidiPorts().ports()
    if not ports:
        return "ready; no controller is plugged in"
    return f"{counted(len(ports), 'port')}: {', '.join(map(str, ports))}"


def page() -> str:
    """Return that `live --page` can serve its page.

    Raises:
        SettingsError: what it needs is not installed.
    """
    # imported here, since it loads the engine, which other commands need not wait for
    from cli.live_page import find_page

    find_page()
    return "ready"
