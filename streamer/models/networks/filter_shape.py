"""The numbers of the causal network whose masks become filters (`filters`), without torch."""

from __future__ import annotations

from typing import Final

import numpy as np

from streamer.audio import Samples
from streamer.models.networks.causal_shape import HOP
from streamer.models.separator import Stride

FILTER_HOP: Final = 64
FALL: Final = 128
"""The frames in which the analysis window falls."""
PERIOD: Final = 256
"""The frames from one set of filters to the next: whole hops."""
AHEAD: Final = 128
"""The frames that a filter looks ahead: whole hops."""
EARLY: Final = 64
"""How many frames before the end of its music a filter begins to be heard: whole hops."""
PARTS: Final = 2 + (AHEAD - EARLY) // FILTER_HOP
"""The hops over which it is computed; the stems of the last are the first that need it."""
TURNS: Final = HOP // PERIOD
"""How many memories take turns."""
FADE: Final = 128
"""The frames in which a filter takes over from the one before it."""
BEHIND: Final = 768
"""The frames that a filter looks back, the present one among them."""
FILTER_TAPS: Final = AHEAD + BEHIND
FILTER_STRIDE: Final = Stride(FILTER_HOP, AHEAD)

_CLOSING: Final = 256


def filter_window() -> Samples:
    """Return what each tap of a filter is multiplied by: the further off, the less, at both ends.

    It begins with the taps ahead. That of the present frame is 1.
    """
    opening = np.sin(np.pi / 2 * np.arange(AHEAD) / AHEAD) ** 2
    closing = np.cos(np.pi / 2 * np.arange(_CLOSING) / _CLOSING) ** 2
    return np.concatenate([opening, np.ones(BEHIND - _CLOSING), closing]).astype(np.float32)


def filter_rise() -> Samples:
    """Return how much of a filter is heard in each frame of its period.

    The rest is the filter before it.
    """
    fade = np.sin(np.pi / 2 * (np.arange(FADE) + 0.5) / FADE) ** 2
    return np.concatenate([fade, np.ones(PERIOD - FADE)]).astype(np.float32)
