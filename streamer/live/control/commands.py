"""The meaning of OSC addresses: pure, a message in, answers out.

::

    ADDRESS VALUE             sets a value of the control tree (`values`)
    ADDRESS                   answers the present one
    /scene/save NAME          /scene/rename OLD NEW    /scene/list             /scene PATH
    /status                   answers /status/state, /status/delay_seconds, ...
    /midi/learn ADDRESS       the MIDI control that is moved next moves this value from then on
    /subscribe [PORT]         controls, status and meters from now on (`subscriptions`)
    /unsubscribe [PORT]       ends that
    /quit

It behaves like a digital mixing desk (Behringer X32): an address without a value asks for it, and
the answer has the same address. The answer to a message that cannot be obeyed is ``/error ADDRESS
SENTENCE``.
Setting the same value again changes nothing. Patterns (``/stem/*/mute``) reach the mix only: no
pattern begins a recording, moves a song or ends a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from math import log10
from typing import Any, Final

from streamer.errors import SettingsError, StemstreamError
from streamer.live.control.controls import Controls
from streamer.live.control.osc import Message, is_pattern, matches
from streamer.live.control.values import ControlTree, Reading
from streamer.live.mixing.levels import printable
from streamer.live.status import OUTSIDE_NAMES, Meter, Status
from streamer.words import nearest

_SILENCE_DBFS: Final = -120.0
_ERROR: Final = "/error"
_PATTERNS_REACH: Final = ("/stem/", "/master/", "/dry", "/listener/")
_ACTS: Final = (
    "/status",
    "/quit",
    "/scene",
    "/scene/list",
    "/scene/save",
    "/scene/rename",
    "/midi/learn",
    "/subscribe",
    "/unsubscribe",
)


class UnknownAddressError(SettingsError):
    """An OSC address is unknown here."""


class Commands:
    """Acts on the controls as OSC messages say.

    Args:
        controls: what the messages act on.
        status: gives a look at the run.
    """

    def __init__(self, controls: Controls, status: Callable[[], Status]) -> None:
        self._controls = controls
        self._status = status
        self._tree = ControlTree(controls, status)

    def act(self, message: Message) -> list[Message]:
        """Obey a message and return the answers.

        Raises:
            UnknownAddressError: the address is unknown.
            StemstreamError: it cannot be done; nothing has changed.
        """
        address, args = message.address, message.args
        values = self._tree.values()
        found = [address] if address in values else []
        if not found and is_pattern(address):
            reached = [one for one in values if one.startswith(_PATTERNS_REACH)]
            found = [known for known in reached if matches(address, known)]
        if found:
            return [answer for known in found for answer in self._value(known, args)]
        return self._do(address, args)

    def readings(self) -> dict[str, Reading]:
        """Return what all values are now, by address."""
        return self._tree.readings()

    def _value(self, address: str, args: tuple[Any, ...]) -> list[Message]:
        state = self._controls.mixer.state
        value = self._tree.values(state).get(address)
        if value is None:  # another scene has been recalled a moment ago
            raise self._unknown(address)
        if not args:
            return [Message(address, (value.read(state),))]
        if len(args) > 1:
            raise SettingsError(f"{address} takes one value, and came with {len(args)}; send one")
        value.write(args[0])
        return []

    def _do(self, address: str, args: tuple[Any, ...]) -> list[Message]:
        """Do what is no value."""
        scenes = self._controls.scenes
        match address:
            case "/status":
                return status_messages(self._status())
            case "/quit":
                self._controls.quit()
            case "/scene":
                self._controls.load_scene(*_texts(address, args, "the path of a scene file"))
            case "/scene/list":
                return [Message(address, tuple(scenes.names))]
            case "/scene/save":
                scenes.save(*_texts(address, args, "the name of a scene"))
            case "/scene/rename":
                scenes.rename(*_texts(address, args, "the old name of a scene", "the new one"))
            case "/midi/learn":
                self._controls.learn(*_texts(address, args, "the address of a value"))
            case _:
                raise self._unknown(address)
        return []

    def _unknown(self, address: str) -> UnknownAddressError:
        values = self._tree.values()
        like = f"try one like {next(iter(values))}, or /status"
        way_out = nearest(address, [*values, *_ACTS], like)
        return UnknownAddressError(f"{printable(address)} is no address here; {way_out}")


def error_message(address: str, error: StemstreamError) -> list[Message]:
    """Return the answer to a failed message; none to an error, or two programs would never stop."""
    return [] if address.startswith(_ERROR) else [Message(_ERROR, (address, str(error)))]


def status_messages(status: Status) -> list[Message]:
    """Return the numbers and words of a status, one message each: ``/status/FIELD``."""
    found = {
        OUTSIDE_NAMES.get(one.name, one.name): getattr(status, one.name) for one in fields(status)
    }
    return [
        Message(f"/status/{name}", (_plain(value),))
        for name, value in found.items()
        if isinstance(value, int | float | str)
    ]


def _plain(value: float | str) -> float | str:
    # few take the true and false of OSC
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int | float) else str(value)


def meter_messages(status: Status) -> list[Message]:
    """Return the meters, peak and RMS in dBFS.

    They are ``/meter/stem/NAME PEAK RMS`` and ``/meter/output OUTPUT CHANNEL PEAK RMS``.
    """
    stems = [Message(f"/meter/stem/{stem}", dbfs(meter)) for stem, meter in status.stems.items()]
    outputs = [
        Message("/meter/output", (port, channel, *dbfs(meter)))
        for port, meters in status.outputs.items()
        for channel, meter in enumerate(meters, start=1)
    ]
    return [*stems, *outputs]


def port_number(args: tuple[Any, ...], default: int) -> int:
    """Return the UDP port that a subscriber names.

    Raises:
        SettingsError: it is not a port.
    """
    if not args:
        return default
    port = args[0]
    if len(args) > 1 or isinstance(port, bool) or not isinstance(port, int | float):
        raise SettingsError("/subscribe takes the port to send to, or nothing; send one number")
    if port not in range(1, 65536):
        raise SettingsError(f"port={printable(port)} must be between 1 and 65535; try 9001")
    return int(port)


def _texts(address: str, args: tuple[Any, ...], *what: str) -> tuple[str, ...]:
    if len(args) != len(what) or not all(isinstance(one, str) and one for one in args):
        them = "it as one string" if len(what) == 1 else "them as strings"
        raise SettingsError(f"{address} takes {' and '.join(what)}; send {them}")
    return args


def dbfs(meter: Meter) -> tuple[float, float]:
    """Return a meter's peak and RMS in dBFS; -120 is silence."""
    peak, rms = (
        max(20 * log10(level), _SILENCE_DBFS) if level > 0 else _SILENCE_DBFS
        for level in (meter.peak, meter.rms)
    )
    return peak, rms
