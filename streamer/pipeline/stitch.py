"""Blend overlapping windows back into one stream, and several passes over it into their mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from streamer.audio import Samples
from streamer.pipeline.fifo import Fifo
from streamer.pipeline.schedule import Schedule

EMIT_FRAMES: Final = 16384
"""How much leaves the stitcher at a time. A whole window would be copied at every stage, would take
memory that the model needs at that moment, and would not stay in the processor's cache."""


class Stitcher:
    """Weighted overlap-add of one pass: each frame is the weighted mean of the windows over it.

    Windows come in order, one hop of their schedule apart. A frame leaves as soon as no later
    window can change it, with up to `EMIT_FRAMES` at a time. This is the sum that
    `demucs.apply.apply_model` makes of the whole track.
    """

    def __init__(self, stems: int, channels: int) -> None:
        self._nothing = np.zeros((stems, 0, channels), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._sum = self._nothing
        self._weight = np.zeros((0, 1), np.float32)
        self._end = 0
        self._filled = 0

    def feed(self, start_frame: int, data: Samples, schedule: Schedule) -> Iterator[Samples]:
        """Add the next window, ``(stems, frames, channels)``, and yield the frames it completes.

        ``frames`` is less than the schedule's window only at the end of the stream. All that comes
        is to be taken before the next window. By then the window itself is let go.
        """
        frames, hop = data.shape[1], schedule.hop_frames
        self._make_room(schedule.window_frames)
        weight = schedule.weight[:frames]
        for stem, channel in np.ndindex(data.shape[0], data.shape[2]):  # as they may lie in memory
            self._sum[stem, :frames, channel] += weight * data[stem, :, channel]
        self._weight[:frames, 0] += weight
        self._filled = max(self._filled, frames)
        self._end = start_frame + self._filled
        del data
        yield from self._take(min(hop, frames))
        self._sum[:, :-hop] = self._sum[:, hop:]
        self._sum[:, -hop:] = 0
        self._weight[:-hop] = self._weight[hop:]
        self._weight[-hop:] = 0
        self._filled = max(self._filled - hop, 0)

    def flush(self) -> Iterator[Samples]:
        """Yield the frames that waited for another window, and forget the stream."""
        yield from self._take(self._filled)
        self.reset()

    def _make_room(self, frames: int) -> None:
        """Make room for a window; only the first one, and one of a longer schedule, needs more."""
        missing = frames - self._weight.shape[0]
        if missing > 0:
            self._sum = np.pad(self._sum, ((0, 0), (0, missing), (0, 0)))
            self._weight = np.pad(self._weight, ((0, missing), (0, 0)))

    def _take(self, frames: int) -> Iterator[Samples]:
        """Yield the mean of the first ``frames`` frames, without those before the stream began."""
        begin = min(max(0, self._filled - self._end), frames)
        for start in range(begin, frames, EMIT_FRAMES):
            part = slice(start, min(start + EMIT_FRAMES, frames))
            yield self._sum[:, part] / self._weight[part]


class PassMean:
    """The weighted mean of several passes, frame by frame.

    ``shares[p]`` is ``(stems, kept)``: the weight of each stem that pass ``p`` keeps in each stem
    that comes out. The passes are always added in the same order, whichever arrives first.
    """

    def __init__(self, shares: Sequence[Samples]) -> None:
        self._shares = shares
        rows, columns = shares[0].shape
        alike = rows == columns and bool((shares[0] == np.eye(rows)).all())
        self._changes_nothing = len(shares) == 1 and alike
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._queues = [Fifo() for _ in self._shares]

    def feed(self, pass_index: int, block: Samples) -> Samples:
        """Take a block of one pass, ``(kept, frames, channels)``; return what is now complete."""
        self._queues[pass_index].push(block)
        frames = min(queue.frames for queue in self._queues)
        if self._changes_nothing and frames:
            return self._queues[0].pop(frames)
        mean = np.zeros((self._shares[0].shape[0], frames, block.shape[2]), np.float32)
        if frames:
            for share, queue in zip(self._shares, self._queues, strict=True):
                data = queue.pop(frames)
                for stem, kept in zip(*np.nonzero(share), strict=True):
                    mean[stem] += share[stem, kept] * data[kept]
        return mean
