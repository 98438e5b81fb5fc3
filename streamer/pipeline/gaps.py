"""The edges of gaps between windows that do not overlap: nothing begins or ends with a step."""

from __future__ import annotations

import numpy as np

from streamer.audio import Samples

EDGE_FRAMES = 128
"""How long the stems take to fade out and in: 2.9 ms at 44.1 kHz."""


class GapEdges:
    """Fades the stems out at the start of a gap, and in at its end.

    The sound at the start of the gap is not known. So the last sound before it plays backwards
    while it fades: that goes on without a step (the simplest packet-loss concealment).
    """

    def __init__(self, stems: int, channels: int) -> None:
        self._mirrored = np.zeros((stems, EDGE_FRAMES, channels), np.float32)
        self._in_gap = False

    def feed(self, carried: Samples, *, gap: bool) -> Samples:
        """Take the next window, ``(stems + 1, frames, channels)``, and return it with its edge.

        The last of the stems is 1 in a ``gap``, where the others are 0, and 0 elsewhere.
        """
        stems, gaps = carried[:-1], carried[-1]
        frames = min(EDGE_FRAMES, carried.shape[1])
        rise = ((np.arange(frames, dtype=np.float32) + 0.5) / frames)[:, np.newaxis]
        if gap and not self._in_gap:
            stems[:, :frames] = self._mirrored[:, :frames] * (1 - rise)
            gaps[:frames] = rise
        elif self._in_gap and not gap:
            stems[:, :frames] *= rise
            gaps[:frames] = 1 - rise
        if not gap:
            self._mirrored[:, :frames] = stems[:, : -frames - 1 : -1]
        self._in_gap = gap
        return carried
