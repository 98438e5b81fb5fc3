"""The model that separates nothing: every stem is the mix.

It costs almost nothing and its output is known. Use it to try out cables, routes and latency, and
to test everything around the model.
"""

from __future__ import annotations

import numpy as np

from streamer.audio import Samples
from streamer.models.separator import WHOLE
from streamer.models.weights.registry import FOUR_STEMS

WINDOW_FRAMES = 343_980  # HTDemucs's: 7.8 s at 44.1 kHz


class PassthroughSeparator:
    """A `Separator` whose stems all equal its input."""

    def __init__(self, window_frames: int = WINDOW_FRAMES) -> None:
        self.names: tuple[str, ...] = FOUR_STEMS
        self.samplerate = 44100
        self.channels = 2
        self.window_frames = window_frames

    def input_frames(self, window_frames: int) -> int:
        """Return ``window_frames``: it needs nothing around the window."""
        return window_frames

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        """Repeat ``(windows, frames, channels)`` as ``(windows, stems, kept, channels)``."""
        stems: Samples = np.repeat(windows[:, np.newaxis, kept], len(self.names), axis=1)
        return stems
