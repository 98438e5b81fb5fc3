"""The gain of `streamer.pipeline.level.RunningLevel` in compiled code, for the native engine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ringbuffer.compiled import compiled
from streamer.audio import Samples
from streamer.pipeline.level import FLOOR_RMS


@compiled()
def running_gain(
    block: Samples,
    gains: Samples,
    mean_squares: NDArray[np.float64],
    averaging_frames: NDArray[np.float64],
    fed_frames: int,
) -> None:
    """Write the gain of each frame, ``(frames, 1)``, before frame ``fed_frames`` of a stream."""
    frames, channels = block.shape
    for frame in range(frames):
        power = 0.0
        for channel in range(channels):
            sample = np.float64(block[frame, channel])  # in double: the square may exceed float32
            power += sample * sample
        for average in range(2):
            memory = min(fed_frames + frame + 1.0, averaging_frames[average])
            mean_squares[average] += (power / channels - mean_squares[average]) / memory
        gains[frame, 0] = 1 / np.sqrt(max(mean_squares[0], mean_squares[1]) + FLOOR_RMS * FLOOR_RMS)
