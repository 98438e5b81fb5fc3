"""One control of a controller, and what is known of it. Pure."""

from __future__ import annotations

from typing import Final

from streamer.live.control.midi.controller_map import Binding, Turn
from streamer.live.control.midi.scale import Scale
from streamer.live.control.midi.signals import FINE_FULL, FULL, Event, Signal, write
from streamer.live.control.midi.takeover import Takeover

_STILL: Final = 64
_BEYOND: Final = 128


class Control:
    """A control that moves an address of this run, along a scale or as a button."""

    def __init__(self, signal: Signal, address: str, binding: Binding, scale: Scale | None) -> None:
        self.signal, self.address, self.binding = signal, address, binding
        self.scale = scale if binding.value is None else None
        self.takeover = Takeover()
        self._down = self._glides = False
        self._first_byte = 0
        self._shown: int | None = None

    def press(self, event: Event) -> bool:
        """Take a button's move; return whether it goes down or up with it.

        Some buttons never tell that they were let go, so full on counts as a press each time. A
        fader that passes the middle is one press.
        """
        was_down, self._down = self._down, event.pressed
        self._glides = self._glides or (self.signal.kind != "note" and 0 < event.value < event.full)
        self._shown = None  # some put their own lamp out when the button is let go
        return self._down != was_down or (event.value == event.full and not self._glides)

    def hold(self, first_byte: int) -> None:
        """Keep the first byte of a fine control change until the second one comes."""
        self._first_byte = first_byte

    def whole(self, second_byte: int) -> Event:
        """Return the move that both bytes of a fine control change make."""
        return Event(self.signal, self._first_byte << 7 | second_byte, FINE_FULL)

    def shows(self, value: object) -> bytes | None:
        """Return the message that brings lamp or motor to a value; None: it is there, or has none.

        A motor brings the knob along.
        """
        told = self._told(value)
        if told is None or told == self._shown:
            return None
        self._shown = told
        if self.binding.echo and isinstance(value, int | float):
            self.takeover.followed(self._place(value))
        return write(self.signal, told)

    def dark(self) -> list[bytes]:
        """Return the message that puts its lamp out, if it has one."""
        lamp = self.binding.lamp
        return [] if lamp is None else [write(self.signal, lamp[1])]

    def _told(self, value: object) -> int | None:
        binding = self.binding
        if binding.lamp is not None and value is None:  # of a listener who is gone
            return binding.lamp[1]
        if binding.lamp is not None and binding.value is not None:
            return binding.lamp[value != binding.value]
        if not isinstance(value, int | float):
            return None
        if binding.lamp is not None:
            return binding.lamp[not value]
        if binding.echo:
            full = FINE_FULL if self.signal.kind == "pitch" else FULL
            return round(self._place(value) * full)
        return None

    def _place(self, value: float) -> float:
        return float(value) if self.scale is None else self.scale.place(value)


def steps(turn: Turn, value: int) -> int:
    """Return how many steps an endless encoder was turned, to the right as positive."""
    if turn == "offset":
        return value - _STILL
    if turn == "twos-complement":
        return value if value < _STILL else value - _BEYOND
    return value if value < _STILL else _STILL - value
