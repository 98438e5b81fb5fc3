"""A queue of frames: blocks go in, any number of frames comes out."""

from __future__ import annotations

from collections import deque

import numpy as np

from streamer.audio import Samples


class Fifo:
    """Frames in, the same frames out, in order. The frames are the last axis but one.

    It grows as needed; for the bounded, lock-free queue between two threads see `ringbuffer.Ring`.
    """

    def __init__(self) -> None:
        self._blocks: deque[Samples] = deque()
        self.frames = 0

    def push(self, block: Samples) -> None:
        """Append ``(..., frames, channels)``."""
        if block.shape[-2]:
            self._blocks.append(block)
            self.frames += block.shape[-2]

    def pop(self, frames: int) -> Samples:
        """Take the oldest ``frames`` frames: at least one, and no more than there are."""
        assert 0 < frames <= self.frames, f"{frames} of {self.frames} frames"
        self.frames -= frames
        taken = []
        while frames:
            block = self._blocks.popleft()
            if block.shape[-2] > frames:
                self._blocks.appendleft(block[..., frames:, :])
                block = block[..., :frames, :]
            taken.append(block)
            frames -= block.shape[-2]
        return taken[0] if len(taken) == 1 else np.concatenate(taken, axis=-2)
