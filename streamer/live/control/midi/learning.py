"""Learning: which control does a hand move? Pure.

A fader or knob has to move by some steps, since one that lies still may tremble by one. A button
only has to be pressed.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from streamer.live.control.midi.control import steps
from streamer.live.control.midi.controller_map import Turn
from streamer.live.control.midi.signals import FINE_OFFSET, FULL, Event, Signal

_MOVED_STEPS: Final = 3
WAIT_SECONDS: Final = 20.0


class Learning:
    """Waits for the control that is to move an address: a button for a switch, else a knob."""

    def __init__(self, address: str, *, is_switch: bool) -> None:
        self.address = address
        self._is_switch = is_switch
        self._began: dict[Signal, float] = {}
        self._steps: Counter[Signal] = Counter()
        self._until: float | None = None

    def feed(self, event: Event, turn: Turn = "absolute") -> bool:
        """Return whether this move is of the control that is meant; ``turn`` is how it turns."""
        if self._is_switch:
            return event.pressed
        if event.signal.kind == "note":  # a key is no fader
            return False
        if turn != "absolute":
            self._steps[event.signal] += abs(steps(turn, event.value))
            return self._steps[event.signal] >= _MOVED_STEPS
        coarse = Signal("cc", event.signal.number - FINE_OFFSET, event.signal.channel)
        if event.signal.kind == "cc" and coarse in self._began:
            return False  # the second byte of a fine fader: the first one is its number
        began = self._began.setdefault(event.signal, event.place)
        return abs(event.place - began) >= _MOVED_STEPS / FULL

    def over(self, now: float) -> bool:
        """Return whether nobody moved a control for `WAIT_SECONDS` since the first call."""
        if self._until is None:
            self._until = now + WAIT_SECONDS
        return now >= self._until
