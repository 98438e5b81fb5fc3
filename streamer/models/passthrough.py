"""The model that separates nothing: every stem is the mix.

It costs next to nothing and its output is known, which is what one wants for trying out cabling,
routing and latency, and for tests of everything around the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamer.audio import Samples
from streamer.models.registry import FOUR_STEMS


@dataclass(frozen=True)
class PassthroughSeparator:
    """A `Separator` whose stems all equal its input. Its window is that of HTDemucs, 7.8 s."""

    names: tuple[str, ...] = FOUR_STEMS
    samplerate: int = 44100
    channels: int = 2
    window_frames: int = 343_980
    max_window_frames: int | None = None

    def input_frames(self, window_frames: int, *, fixed: bool) -> int:  # noqa: ARG002
        """Return ``window_frames``: it needs nothing around the window."""
        return window_frames

    def __call__(self, windows: Samples) -> Samples:
        """Repeat ``(windows, frames, channels)`` as ``(windows, stems, frames, channels)``."""
        return np.repeat(windows[:, np.newaxis], len(self.names), axis=1)
