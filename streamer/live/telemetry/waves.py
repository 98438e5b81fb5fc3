"""The last seconds of the stems as peaks with numbers, by which a waveform is drawn: pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np

from streamer.audio import Samples
from streamer.live.status import WAVE_RATE, Waves

KEPT_SECONDS: Final = 10


class WaveLog:
    """Makes one peak a stem of each stretch of `1 / WAVE_RATE` seconds that was played.

    A device's block that reaches over the end of a stretch counts in both.
    """

    def __init__(self, names: Sequence[str], samplerate: int) -> None:
        self._names = tuple(names)
        self._stretch_frames = samplerate / WAVE_RATE
        self._kept: deque[Samples] = deque(maxlen=KEPT_SECONDS * WAVE_RATE)
        self._end = 0
        self._now: Samples = np.zeros(len(names), np.float32)
        self._filled_frames = 0.0
        self.waves = Waves()

    def feed(self, block_frames: Samples, block_peaks: Samples) -> None:
        """Take the next blocks: how many frames each has ``(blocks,)``, and ``(stems, blocks)``."""
        before = self._end
        for frames, peaks in zip(block_frames, block_peaks.T, strict=True):
            self._now = np.maximum(self._now, peaks)
            self._filled_frames += float(frames)
            while self._filled_frames >= self._stretch_frames:
                self._filled_frames -= self._stretch_frames
                self._kept.append(self._now)
                self._end += 1
                self._now = peaks if self._filled_frames else np.zeros_like(peaks)
        if self._end > before:
            table = np.array(self._kept).T
            peaks_by_stem = (tuple(row) for row in table.tolist())
            self.waves = Waves(
                self._end - len(self._kept), dict(zip(self._names, peaks_by_stem, strict=True))
            )
