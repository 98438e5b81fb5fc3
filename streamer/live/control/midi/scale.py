"""What the way of a knob means to a value: places from 0 to 1. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from streamer.live.control.values import Kind
from streamer.live.mixing.levels import MAX_DB
from streamer.live.mixing.taper import gain_at, place_of


@dataclass(frozen=True, slots=True)
class Scale:
    """Values along a knob; ``rest`` is the place that is hit exactly: unity, or the centre."""

    value: Callable[[float], float]
    place: Callable[[float], float]
    rest: float

    def settled(self, place: float, steps: int) -> float:
        """Return a place, or ``rest`` where that is less than half of a knob's steps away."""
        return self.rest if abs(place - self.rest) * steps <= 0.5 else place


GAIN = Scale(gain_at, place_of, place_of(0.0))
PAN = Scale(lambda place: 2 * place - 1, lambda pan: (pan + 1) / 2, 0.5)
MORE = Scale(lambda place: place * MAX_DB, lambda more_db: more_db / MAX_DB, 0.0)

SCALES: Final[Mapping[Kind, Scale]] = {"gain": GAIN, "pan": PAN, "more": MORE}
"""The kinds of values that a knob can move."""
