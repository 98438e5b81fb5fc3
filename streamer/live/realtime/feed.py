"""The engine's end of a port's stem ring."""

from __future__ import annotations

import numpy as np

from streamer.audio import Samples, Stems
from streamer.live.realtime.ports import PlaybackPort

CHUNK_FRAMES = 16384


class StemFeed:
    """Writes stems to a port's ring, each at its position.

    What finds no room, since the port's device is away or never caught up, is forgotten, and a gap
    stands in its place later: positions stay true. The writer of the ring is this alone.
    """

    def __init__(self, port: PlaybackPort) -> None:
        self._ring = port.stem_ring
        self._gap = np.zeros((CHUNK_FRAMES, self._ring.channels), np.float32)

    def write(self, stems: Stems) -> None:
        """Write a stretch of stems; never waits."""
        while (missing := stems.start_frame - self._ring.end_frame) > 0:
            if not self._ring.write(self._gap[:missing]):
                return
        self._ring.write(_side_by_side(stems))


def _side_by_side(stems: Stems) -> Samples:
    """Return ``(frames, 2 * stems + 1)``: the stems' channels, then where they are real."""
    frames = stems.frames
    row = np.empty((frames, 2 * len(stems.names) + 1), np.float32)
    row[:, :-1] = stems.data.transpose(1, 0, 2).reshape(frames, -1)
    row[:, -1] = 1 if stems.wet is None else stems.wet
    return row
