"""What the way of a knob means to an address: places from 0 to 1, and values. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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

_SCALES = {"gain": GAIN, "pan": PAN, "more": MORE}


def scale_of(address: str) -> Scale | None:
    """Return the scale of an address; None: it is a switch."""
    return _SCALES.get(address.rpartition("/")[2])
