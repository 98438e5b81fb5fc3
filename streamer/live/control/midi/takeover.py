"""Soft takeover: a knob takes hold of a value when it passes it, so nothing ever jumps. Pure."""

from __future__ import annotations

from typing import Final

from streamer.live.control.midi.signals import FULL

_NEAR: Final = 1 / FULL
_SAME: Final = 1e-6


class Takeover:
    """One knob and its value, both as places from 0 to 1.

    The knob lets go when somebody else moves the value.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._given: float | None = None

    def takes(self, place: float, present: float) -> bool:
        """Tell where the knob is now and where the value; return whether the knob may move it."""
        before, self._last = self._last, place
        if not self.holds(present):
            self._given = None  # and does not come back when the value does
            low, high = sorted((place if before is None else before, place))
            return low - _NEAR <= present <= high + _NEAR
        return True

    def gave(self, present: float) -> None:
        """Tell where the value is after the knob has moved it."""
        self._given = present

    def followed(self, place: float) -> None:
        """Tell that a motor has moved the knob to where the value is."""
        self._last = self._given = place

    def holds(self, present: float) -> bool:
        """Return whether the value is where the knob has left it."""
        return self._given is not None and abs(present - self._given) < _SAME
