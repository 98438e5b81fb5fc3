"""Gaps are windows without stems: how they travel with the stems, and what becomes of their edges.

A gap travels as one more stem, which is 1 where the others are missing. It takes the same way, so
it comes out blended and resampled as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from streamer.audio import Samples
from streamer.pipeline.schedule import Schedule

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


Stage = Callable[[Samples], Samples]


class GapTrack(Protocol):
    """A stage in three places: behind the model, at the level, and at the way out."""

    @property
    def may_drop(self) -> bool:
        """Whether a window may be dropped for a newer one."""
        ...

    def carry(self, stems: Samples | None, frames: int, schedule: Schedule) -> Samples:
        """Take a window's stems, ``(stems, frames, channels)``, or None; return what travels."""
        ...

    def level(self, carried: Samples, stage: Stage) -> Samples:
        """Put the stems through a stage that knows nothing of gaps."""
        ...

    def split(self, carried: Samples, mix: Samples) -> tuple[Samples, Samples, Samples | None]:
        """Return the stems, the part of the mix that they were made of, and how much is there.

        The last is ``(frames,)``, from 0 in a gap to 1; None: all of it.
        """
        ...


class NoGaps:
    """The `GapTrack` of windows that are all separated: nothing travels but the stems."""

    may_drop = False

    def carry(self, stems: Samples | None, _frames: int, _schedule: Schedule) -> Samples:
        """See `GapTrack.carry`."""
        assert stems is not None
        return stems

    def level(self, carried: Samples, stage: Stage) -> Samples:
        """See `GapTrack.level`."""
        return stage(carried)

    def split(self, carried: Samples, mix: Samples) -> tuple[Samples, Samples, Samples | None]:
        """See `GapTrack.split`."""
        return carried, mix, None


class GapStem:
    """The `GapTrack` of live windows: one more stem says where the others are missing."""

    may_drop = True

    def __init__(self, stems: int, channels: int) -> None:
        self._shape = stems, channels
        self._edges = GapEdges(stems, channels)

    def carry(self, stems: Samples | None, frames: int, schedule: Schedule) -> Samples:
        """See `GapTrack.carry`."""
        count, channels = self._shape
        carried = np.zeros((count + 1, frames, channels), np.float32)
        if stems is None:
            carried[-1] = 1
        else:
            carried[:-1] = stems
        if schedule.window_frames > schedule.hop_frames:
            return carried  # the stitcher blends them
        return self._edges.feed(carried, gap=stems is None)

    def level(self, carried: Samples, stage: Stage) -> Samples:
        """See `GapTrack.level`."""
        return np.concatenate([stage(carried[:-1]), carried[-1:]])

    def split(self, carried: Samples, mix: Samples) -> tuple[Samples, Samples, Samples | None]:
        """See `GapTrack.split`."""
        # a resampler may ring a little over the edges of a gap
        wet: Samples = 1 - np.clip(carried[-1, :, 0], 0, 1)
        return carried[:-1], mix * wet[:, np.newaxis], wet
