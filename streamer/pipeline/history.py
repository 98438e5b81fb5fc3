"""The newest stretch of a stream, by absolute position: what windows are cut from."""

from __future__ import annotations

import numpy as np

from streamer.audio import Samples


class History:
    """Frames in; any stretch of them out, until it is released. For one thread.

    Positions are absolute frame numbers since the stream began. It holds at most
    ``capacity_frames``; for the lock-free ring between two threads see `ringbuffer.Ring`. That one
    is compiled code, which takes longer to load than a short song to separate.
    """

    def __init__(self, capacity_frames: int, channels: int) -> None:
        self._data = np.zeros((capacity_frames, channels), np.float32)
        self.channels = channels
        self.start_frame = 0
        self.end_frame = 0

    def write(self, block: Samples) -> int:
        """Append what fits of ``(frames, channels)``; return how many frames that was."""
        room = len(self._data) - (self.end_frame - self.start_frame)
        block = block[:room]
        done = 0
        for part in self._parts(self.end_frame, len(block)):
            part[:] = block[done : done + len(part)]
            done += len(part)
        self.end_frame += done
        return done

    def peek(self, start_frame: int, out: Samples) -> int:
        """Fill ``(frames, channels)`` from a position on; return for how many there was audio."""
        assert start_frame >= self.start_frame, (start_frame, self.start_frame)
        done = 0
        for part in self._parts(start_frame, min(len(out), self.end_frame - start_frame)):
            out[done : done + len(part)] = part
            done += len(part)
        return done

    def release(self, until_frame: int) -> None:
        """Forget all before a position, which is no later than the last frame written."""
        assert until_frame <= self.end_frame, (until_frame, self.end_frame)
        self.start_frame = max(self.start_frame, until_frame)

    def _parts(self, start_frame: int, frames: int) -> list[Samples]:
        """Return where these frames lie: at the end of the array, and again at its start."""
        frames = max(frames, 0)
        begin = start_frame % len(self._data)
        first = self._data[begin : begin + frames]
        return [first, self._data[: frames - len(first)]]
