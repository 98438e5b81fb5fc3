"""The scale of a fader: from its place to a gain in dB, and back.

It is the scale of a digital desk (Behringer X32, whose OSC protocol documents it), with 12 dB at
the top instead of 10: straight lines in dB between `MARKS`, so half of the way is for the 20 dB
around 0. The page, MIDI faders and knobs share it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from streamer.live.mixing.levels import MAX_DB, OFF_DB

MARKS: Final = (
    (0.0, OFF_DB),
    (0.0625, -60.0),
    (0.25, -30.0),
    (0.5, -10.0),
    (0.75, 0.0),
    (1.0, MAX_DB),
)
"""Places along a fader, 0 (bottom) to 1 (top), with their gains in dB."""


def gain_at(place: float) -> float:
    """Return the gain in dB at a place from 0 to 1; a place beyond the ends counts as the end."""
    place = min(max(place, 0.0), 1.0)
    for (low, low_db), (high, high_db) in pairwise(MARKS):
        if place <= high:
            return low_db + (place - low) / (high - low) * (high_db - low_db)
    return MAX_DB


def place_of(gain_db: float) -> float:
    """Return the place from 0 to 1 of a gain; `gain_at` leads back."""
    gain_db = min(max(gain_db, OFF_DB), MAX_DB)
    for (low, low_db), (high, high_db) in pairwise(MARKS):
        if gain_db <= high_db:
            return low + (gain_db - low_db) / (high_db - low_db) * (high - low)
    return 1.0
