"""The numbers of the causal network (`causal`), for modules that do not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HOP: Final = 512
FFT: Final = 2048
LEVEL_RMS: Final = 0.15
"""The median of MUSDB18's mixtures. With other levels the first weights lose: 0.1 dB SDR at a third
less, 0.6 dB at a third of it, 1 dB at 1."""
COMPRESSION: Final = 0.3
"""The power of magnitudes that the network sees: 40 dB quieter looks like 12 dB quieter."""
POWER_FLOOR: Final = 1e-10
"""Added to the power of a bin, since the logarithm of 0 is infinite."""
MASK_FLOOR: Final = 1e-4
"""Added to the power of a mask, so that silent masks share the rest up to 1 evenly."""
TAPS: Final = 4
"""How many hops the short convolution over time sees."""
TIME_HEADS: Final = 4
BAND_HEADS: Final = 8
SHARPNESS: Final = 8.0
"""How far a gate may shorten a memory, as in Griffin."""


@dataclass(frozen=True)
class BandGroup:
    """Bands beside each other, each ``width`` bins wide and masked at ``points`` places."""

    bands: int
    width: int
    points: int


GROUPS: Final = (
    BandGroup(8, 2, 2),
    BandGroup(6, 4, 4),
    BandGroup(6, 8, 8),
    BandGroup(5, 16, 16),
    BandGroup(5, 32, 16),
    BandGroup(3, 64, 16),
    BandGroup(1, 505, 1),
)
"""From 0 Hz up; the last band, from 11.2 kHz at 44.1 kHz, has one mask."""
BANDS: Final = sum(group.bands for group in GROUPS)
