"""MIDI messages of controls: bytes in and out, and how a map writes them. Pure.

A `Signal` is what one control sends under; an `Event` is one move of it.

Source: MIDI 1.0 Detailed Specification, table 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from streamer.errors import SettingsError
from streamer.live.mixing.levels import printable

Kind = Literal["cc", "note", "pitch"]

FULL: Final = 127
"""The largest value of a control change or a note."""
FINE_FULL: Final = 16383
"""The largest value of a pitch wheel, or of a control change with a second byte."""
FINE_OFFSET: Final = 32
"""How far the number of a control change's second byte lies above the first byte's."""
_NOTE_OFF, _NOTE_ON, _CONTROL, _PITCH = 0x8, 0x9, 0xB, 0xE
_KINDS: Final[Mapping[str | None, Kind]] = {"cc": "cc", "note": "note", None: "pitch"}
_WRITTEN: Final = re.compile(
    r"(?:(?P<kind>cc|note) (?P<number>\d{1,3})|pitch)(?: channel (?P<channel>\d\d?))?"
)


@dataclass(frozen=True, slots=True)
class Signal:
    """What a control sends under. ``number`` is 0 to 127, ``channel`` 1 to 16."""

    kind: Kind
    number: int = 0
    channel: int = 1

    def __str__(self) -> str:
        numbered = self.kind if self.kind == "pitch" else f"{self.kind} {self.number}"
        return numbered if self.channel == 1 else f"{numbered} channel {self.channel}"


@dataclass(frozen=True, slots=True)
class Event:
    """A move of a control: ``value`` is 0 to ``full``; a button that is let go has 0."""

    signal: Signal
    value: int
    full: int = FULL

    @property
    def place(self) -> float:
        """Where the control is, from 0 to 1."""
        return self.value / self.full

    @property
    def pressed(self) -> bool:
        """Whether a button is down."""
        return 2 * self.value > self.full or (self.signal.kind == "note" and self.value > 0)


def parse_signal(written: str) -> Signal:
    """Return the signal that a map writes as ``cc 7``, ``note 36 channel 10`` or ``pitch``.

    Raises:
        SettingsError: it is none.
    """
    found = _WRITTEN.fullmatch(written)
    if found is not None:
        number, channel = int(found["number"] or 0), int(found["channel"] or 1)
        if number <= FULL and 1 <= channel <= 16:
            return Signal(_KINDS[found["kind"]], number, channel)
    raise SettingsError(
        f"{printable(written)} is no MIDI signal; try one like cc 7, note 36 or pitch channel 2"
    )


def read(message: Sequence[int]) -> Event | None:
    """Return the move that a message tells of; None: it is of no control."""
    if len(message) != 3 or not all(0 <= one <= FULL for one in message[1:]):
        return None
    status, first, second = message
    kind, channel = status >> 4, (status & 0xF) + 1
    if kind == _CONTROL:
        return Event(Signal("cc", first, channel), second)
    if kind in (_NOTE_ON, _NOTE_OFF):
        return Event(Signal("note", first, channel), second if kind == _NOTE_ON else 0)
    if kind == _PITCH:
        return Event(Signal("pitch", 0, channel), second << 7 | first, FINE_FULL)
    return None


def write(signal: Signal, value: int) -> bytes:
    """Return the message that lights a control's lamp, or moves its motor to a value.

    A velocity of 0 is sent as a note on: all controllers understand that.
    """
    channel = signal.channel - 1
    if signal.kind == "pitch":
        return bytes((_PITCH << 4 | channel, value & FULL, value >> 7))
    kind = _CONTROL if signal.kind == "cc" else _NOTE_ON
    return bytes((kind << 4 | channel, signal.number, value))
