"""The MIDI ports of this machine, through python-rtmidi.

A port is named by a part of its name, with the API before it where that is needed: ``JACK:nano``.
ALSA gives a controller another number each time it comes, so it is looked for without that. The
ports of one controller keep their places.
"""

from __future__ import annotations

import ctypes
import importlib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from streamer.errors import DeviceError, SettingsError
from streamer.live.devices.portaudio_library import hung_up, jack_clients

CLIENT: Final = "stemstream-midi"
"""Not the name of the audio's client: after a restart of JACK each asks for its own again."""
MOST_WAITING: Final = 4096
"""Messages that wait until they are asked for; a faster flood loses some."""
_APIS: Final = {
    "API_LINUX_ALSA": "ALSA",
    "API_UNIX_JACK": "JACK",
    "API_MACOSX_CORE": "Core MIDI",
}
_NUMBERS: Final = re.compile(r"(?: \d+(?::\d+)?)+$")
_PLACE: Final = re.compile(r" \d+:(\d+)$")
_DIRECTION: Final = re.compile(r"capture|playback", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MidiPort:
    """A port that a controller sends from."""

    api: str
    name: str

    def __str__(self) -> str:
        return f"{self.api}:{self.name}"

    @property
    def lasting(self) -> str:
        """What stays of its name when it goes and comes; its way back has the same."""
        return _DIRECTION.sub("", _NUMBERS.sub("", self.name))

    @property
    def place(self) -> str:
        """Which port of its controller it is, where its name tells that."""
        found = _PLACE.search(self.name)
        return found[1] if found else ""


class Connection(Protocol):
    """A controller that was opened."""

    def received(self) -> list[bytes]:
        """Return the messages that have come since the last call."""

    def there(self) -> bool:
        """Return whether it is still plugged in."""

    def send(self, message: bytes) -> None:
        """Send it a message; one that has no way back, or is gone, misses it."""

    def close(self) -> None:
        """Let it go. Twice is fine; never raises."""


class MidiPorts(Protocol):
    """Where controllers come from."""

    def ports(self) -> list[MidiPort]:
        """Return the ports there are now."""

    def open(self, port: MidiPort) -> Connection:
        """Open a port, and its way back if it has one.

        Raises:
            DeviceError: it cannot be had.
        """


def find_port(ports: Sequence[MidiPort], query: str) -> MidiPort:
    """Return the one port that is named so, or in part: the first API that has it.

    Raises:
        DeviceError: there is none, or several.
    """
    wanted = query.strip().casefold()
    found = [one for one in ports if wanted in (one.name.casefold(), str(one).casefold())]
    found = found or [one for one in ports if wanted in str(one).casefold()]
    found = [one for one in found if one.api == found[0].api]
    if len(found) == 1:
        return found[0]
    if not ports:
        raise DeviceError(f"there is no MIDI port named {query!r}, nor any; plug a controller in")
    wrong = f"there are several MIDI ports for {query!r}" if found else _none(query)
    raise DeviceError(f"{wrong}; try one of: {', '.join(map(str, found or ports))}")


def _none(query: str) -> str:
    return f"there is no MIDI port named {query!r}"


class RtMidiPorts:
    """The ports of this machine. See `MidiPorts`.

    Raises:
        SettingsError: python-rtmidi is not installed.
        DeviceError: this machine has no MIDI.
    """

    def __init__(self) -> None:
        try:
            self._rtmidi = importlib.import_module("rtmidi")
        except ImportError:
            raise SettingsError(
                "midi needs python-rtmidi, which is not installed; "
                "try pip install 'stemstream[midi]'"
            ) from None
        if not self._clients():
            raise DeviceError(
                "this machine has no MIDI that answers; "
                "try modprobe snd-seq for ALSA's, or start JACK"
            )

    def ports(self) -> list[MidiPort]:
        """Return the ports there are now."""
        return [
            MidiPort(api, name)
            for api, client in self._clients()
            for name in client.get_ports()
            if CLIENT not in name
        ]

    def open(self, port: MidiPort) -> RtMidiConnection:
        """Open a port, and its way back if it has one.

        Raises:
            DeviceError: it is gone, or another program has it.
        """
        try:
            return RtMidiConnection(self._rtmidi, port)
        except (self._rtmidi.RtMidiError, LookupError, StopIteration) as error:
            raise DeviceError(
                f"MIDI port {port.name!r} cannot be opened ({error}); close the program that has it"
            ) from None

    def _clients(self) -> list[tuple[str, Any]]:
        """Return a new client of each API that answers, with the API's name."""
        clients = []
        for code in self._rtmidi.get_compiled_api():
            with suppress(self._rtmidi.RtMidiError):
                clients.append((_api(self._rtmidi, code), self._rtmidi.MidiIn(code, CLIENT)))
        return clients


class RtMidiConnection:
    """A port of rtmidi's. See `Connection`.

    It is asked for its messages. A callback of Python's would run on JACK's own thread, and hold up
    the sound. What is called, or freed, after its JACK server has ended crashes: it is left alone.
    """

    def __init__(self, rtmidi: Any, port: MidiPort) -> None:
        """Not for callers: see `RtMidiPorts.open`."""
        code = next(one for one in rtmidi.get_compiled_api() if _api(rtmidi, one) == port.api)
        self._rtmidi, self._port = rtmidi, port
        self._closed = self._orphan = False
        before = set(jack_clients())
        self._from = rtmidi.MidiIn(code, CLIENT, MOST_WAITING)
        self._from.open_port(_index(self._from, port.name), CLIENT)
        self._to = rtmidi.MidiOut(code, CLIENT)
        back = way_back(port, self._to.get_ports())
        if back is not None:
            self._to.open_port(back, CLIENT)
        self._servers = set(jack_clients()) - before

    def received(self) -> list[bytes]:
        """Return the messages that have come since the last call."""
        if self._is_orphan():
            return []
        return [bytes(message) for message, _ in iter(self._from.get_message, None)]

    def there(self) -> bool:
        """Return whether it is still plugged in."""
        if self._is_orphan():
            return False
        with suppress(self._rtmidi.RtMidiError):
            return self._port.name in self._from.get_ports()
        return False

    def send(self, message: bytes) -> None:
        """Send it a message."""
        if not self._is_orphan() and self._to.is_port_open():
            with suppress(self._rtmidi.RtMidiError, ValueError):
                self._to.send_message(message)

    def close(self) -> None:
        """Let it go."""
        if self._closed:  # what is deleted twice crashes
            return
        self._closed = True
        if self._is_orphan():
            for side in (self._from, self._to):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(side))
            return
        for side in (self._from, self._to):
            with suppress(self._rtmidi.RtMidiError):
                side.close_port()
            side.delete()

    def _is_orphan(self) -> bool:
        """Return whether its JACK server has ended, though another may have begun since."""
        self._orphan = self._orphan or any(map(hung_up, self._servers))
        return self._orphan


def way_back(port: MidiPort, names: Sequence[str]) -> int | None:
    """Return which of the outputs with these names leads to the controller of a port, if any."""
    others = [MidiPort(port.api, name) for name in names]
    alike = [n for n, other in enumerate(others) if other.lasting == port.lasting]
    return min(
        alike, key=lambda n: (others[n] != port, others[n].place != port.place), default=None
    )


def _index(client: Any, name: str) -> int:
    """Return where a port is now; LookupError: it is gone."""
    places = {each: index for index, each in enumerate(client.get_ports())}
    return places[name]


def _api(rtmidi: Any, code: int) -> str:
    return next((name for key, name in _APIS.items() if getattr(rtmidi, key) == code), "MIDI")
