"""The meaning of OSC addresses: pure, a message in, answers out.

::

    /stem/NAME/gain DB      /stem/NAME/mute 0|1     /stem/NAME/solo 0|1     /stem/NAME/pan -1..1
    /master/gain DB         /dry 0|1                without a value: answers the present one
    /scene PATH             /quit
    /status                 answers /status/state, /status/delay_seconds, ...
    /subscribe [PORT]       controls, status and meters from now on (`subscriptions`)
    /unsubscribe [PORT]     ends that

It behaves like a digital mixing desk (Behringer X32): an address without a value asks for it, and
the answer has the same address. The answer to a message that cannot be obeyed is ``/error ADDRESS
SENTENCE``.
Setting the same value again changes nothing. Patterns (``/stem/*/mute``) reach the controls only:
no pattern ends a run.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from math import log10
from typing import Any, Final

from streamer.errors import SettingsError, StemstreamError
from streamer.live.control.controls import Controls
from streamer.live.control.osc import Message, is_pattern, matches
from streamer.live.mixing.levels import printable
from streamer.live.mixing.mixer import MixState
from streamer.live.status import OUTSIDE_NAMES, Meter, Status

_SILENCE_DBFS: Final = -120.0
_ERROR: Final = "/error"


class UnknownAddressError(SettingsError):
    """An OSC address is unknown here."""


@dataclass(frozen=True)
class _Control:
    """One value that can be read and set."""

    read: Callable[[MixState], float]
    write: Callable[[Any], None]


class Commands:
    """Acts on the controls as OSC messages say.

    Args:
        controls: what the messages act on.
        status: gives a look at the run.
    """

    def __init__(self, controls: Controls, status: Callable[[], Status]) -> None:
        self._controls = controls
        self._status = status
        self._values = _values(controls)

    def act(self, message: Message) -> list[Message]:
        """Obey a message and return the answers.

        Raises:
            UnknownAddressError: the address is unknown.
            StemstreamError: it cannot be done; nothing has changed.
        """
        address, args = message.address, message.args
        if is_pattern(address):
            found = [known for known in self._values if matches(address, known)]
        else:
            found = [address] if address in self._values else []
        if found:
            return [answer for known in found for answer in self._value(known, args)]
        if address == "/status":
            return status_messages(self._status())
        if address == "/quit":
            self._controls.quit()
        elif address == "/scene":
            self._controls.load_scene(_path(args))
        else:
            raise self._unknown(address)
        return []

    def controls(self, state: MixState) -> dict[str, float]:
        """Return all values that can be set, by address."""
        return {address: value.read(state) for address, value in self._values.items()}

    def _value(self, address: str, args: tuple[Any, ...]) -> list[Message]:
        value = self._values[address]
        if not args:
            return [Message(address, (value.read(self._controls.mixer.state),))]
        if len(args) > 1:
            raise SettingsError(f"{address} takes one value, and came with {len(args)}; send one")
        value.write(args[0])
        return []

    def _unknown(self, address: str) -> UnknownAddressError:
        known = [*self._values, "/status", "/quit", "/scene", "/subscribe", "/unsubscribe"]
        close = difflib.get_close_matches(address, known, n=1)
        way_out = f"try {close[0]}" if close else f"try one like {known[0]}, or /status"
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
        Message(f"/status/{name}", (value if isinstance(value, int | float) else str(value),))
        for name, value in found.items()
        if isinstance(value, int | float | str)
    ]


def meter_messages(status: Status) -> list[Message]:
    """Return the meters, peak and RMS in dBFS.

    They are ``/meter/stem/NAME PEAK RMS`` and ``/meter/output OUTPUT CHANNEL PEAK RMS``.
    """
    stems = [Message(f"/meter/stem/{stem}", _dbfs(meter)) for stem, meter in status.stems.items()]
    outputs = [
        Message("/meter/output", (port, channel, *_dbfs(meter)))
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


def _values(controls: Controls) -> Mapping[str, _Control]:
    mixer = controls.mixer
    values: dict[str, _Control] = {}
    for stem in mixer.stems:
        for name, field, write in (
            ("gain", "gain_db", mixer.set_gain),
            ("mute", "mute", mixer.set_mute),
            ("solo", "solo", mixer.set_solo),
            ("pan", "pan", mixer.set_pan),
        ):
            values[f"/stem/{stem}/{name}"] = _Control(
                partial(_stem_value, stem, field), partial(write, stem)
            )
    values["/master/gain"] = _Control(lambda state: state.master_db, mixer.set_master)
    values["/dry"] = _Control(lambda state: int(state.dry), mixer.set_dry)
    return values


def _stem_value(stem: str, field: str, state: MixState) -> float:
    value: float = getattr(state.stems[stem], field)
    # faders and lamps take numbers; few take the true and false of OSC
    return int(value) if isinstance(value, bool) else value


def _path(args: tuple[Any, ...]) -> str:
    if len(args) != 1 or not isinstance(args[0], str) or not args[0]:
        raise SettingsError("/scene takes the path of a scene file; send it as one string")
    return args[0]


def _dbfs(meter: Meter) -> tuple[float, float]:
    peak, rms = (
        max(20 * log10(level), _SILENCE_DBFS) if level > 0 else _SILENCE_DBFS
        for level in (meter.peak, meter.rms)
    )
    return peak, rms
