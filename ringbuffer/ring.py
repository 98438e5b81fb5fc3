"""The ring for Python: the compiled functions, and words for what is wrong with an argument."""

from __future__ import annotations

import operator

import numpy as np

from ringbuffer.native import (
    HEADER_WORDS,
    Header,
    Samples,
    ring_end,
    ring_format,
    ring_peek,
    ring_read,
    ring_readable,
    ring_release,
    ring_reset,
    ring_start,
    ring_writable,
    ring_write,
)

_FLOAT32 = np.dtype(np.float32)
_LINE_BYTES = 128


class Ring:
    """A lock-free ring of float32 frames between one writer and one reader.

    The writer is the one thread that calls `write`; the reader is the one thread that calls
    `read`, `peek` and `release`. The positions and counts may be asked from anywhere. No call
    blocks: each does what it can and returns a count. Positions are absolute frame numbers since
    the stream began, so they never wrap.

    `header` and `data` are the arrays for the compiled functions of this package,
    `header_address` and `data_address` the same for a C callback. The ring must outlive both.
    """

    header: Header
    data: Samples
    capacity_frames: int
    channels: int

    def __init__(self, capacity_frames: int, channels: int) -> None:
        """Make an empty ring of `capacity_frames` frames of `channels` samples.

        Raises:
            ValueError: either is less than 1.
        """
        capacity_frames, channels = checked_shape(capacity_frames, channels)
        # Over-long by a line, so that the counters can be put at the start of one.
        block = np.zeros(HEADER_WORDS + _LINE_BYTES // 8, np.int64)
        skip = -block.ctypes.data % _LINE_BYTES // 8
        data = np.empty(capacity_frames * channels, np.float32)
        # Written, not just reserved: a page's first touch is a page fault, which must not happen
        # in a real-time callback.
        data.fill(0.0)
        self._adopt(block[skip : skip + HEADER_WORDS], data, capacity_frames, channels)
        ring_format(self.header, capacity_frames, channels)

    def _adopt(self, header: Header, data: Samples, capacity_frames: int, channels: int) -> None:
        self.header = header
        self.data = data
        self.capacity_frames = capacity_frames
        self.channels = channels

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.capacity_frames} frames, {self.channels} channels)"

    @property
    def header_address(self) -> int:
        """The address of `header`, for `ring_write_at` and the like."""
        return self.header.ctypes.data

    @property
    def data_address(self) -> int:
        """The address of `data`, for `ring_write_at` and the like."""
        return self.data.ctypes.data

    @property
    def start_frame(self) -> int:
        """The first frame held, absolute."""
        return ring_start(self.header)

    @property
    def end_frame(self) -> int:
        """One past the last frame written, absolute."""
        return ring_end(self.header)

    @property
    def readable_frames(self) -> int:
        """Frames that the reader can read now."""
        return ring_readable(self.header)

    @property
    def writable_frames(self) -> int:
        """Frames that the writer can write now."""
        return ring_writable(self.header)

    def write(self, samples: Samples) -> int:
        """Write what fits of float32 `samples` `(frames, channels)`. Writer only.

        Returns the frames written, from the front of `samples`. A strided view is copied first.

        Raises:
            TypeError: not a float32 array.
            ValueError: not of the shape `(frames, channels)`.
        """
        try:
            return ring_write(self.header, self.data, samples)
        except (TypeError, ValueError):
            self._check("samples", samples)
            return ring_write(self.header, self.data, np.require(samples, requirements=["C", "A"]))

    def read(self, out: Samples) -> int:
        """Fill float32 `out` `(frames, channels)` as far as there are frames. Reader only.

        Returns how many there were; these are released. The rest of `out` stays as it was.

        Raises:
            TypeError: not a float32 array.
            ValueError: not of the shape `(frames, channels)`, not C-contiguous, or read-only.
        """
        try:
            return ring_read(self.header, self.data, out)
        except (TypeError, ValueError):
            self._check_out(out)
            raise

    def peek(self, start_frame: int, out: Samples) -> int:
        """Copy frames from the absolute `start_frame` on, without releasing them. Reader only.

        Returns how many were there: less than `out` holds where the writer has not come so far.

        Raises:
            TypeError: not a float32 array.
            ValueError: not of the shape `(frames, channels)`, not C-contiguous, or read-only; or
                `start_frame` is already released.
        """
        try:
            return ring_peek(self.header, self.data, start_frame, out)
        except (TypeError, ValueError):
            self._check_out(out)
            if start_frame < self.start_frame:
                raise ValueError(
                    f"expected start_frame of at least {self.start_frame}, the first frame not "
                    f"yet released, got {start_frame}"
                ) from None
            raise

    def release(self, until_frame: int) -> None:
        """Free everything before the absolute `until_frame`. Reader only.

        What is already released stays so, and no frame is released before it was written.
        """
        ring_release(self.header, until_frame)

    def reset(self, start_frame: int = 0) -> None:
        """Empty the ring; the next frame written is the absolute `start_frame`.

        Belongs to neither side: only while no one reads or writes.

        Raises:
            ValueError: `start_frame` is negative.
        """
        if start_frame < 0:
            raise ValueError(f"expected start_frame of at least 0, got {start_frame}")
        ring_reset(self.header, start_frame)

    # The compiled functions refuse whatever does not fit; only then is it worth finding out why.

    def _check(self, name: str, array: Samples) -> None:
        if not isinstance(array, np.ndarray):
            raise TypeError(
                f"expected {name} to be a float32 array, got {type(array).__name__}"
            ) from None
        if array.dtype != _FLOAT32:
            raise TypeError(f"expected {name} to be float32, got {array.dtype}") from None
        if array.ndim != 2 or array.shape[1] != self.channels:
            raise ValueError(
                f"expected {name} of shape (frames, {self.channels}), got {array.shape}"
            ) from None

    def _check_out(self, out: Samples) -> None:
        self._check("out", out)
        for flag in ("C_CONTIGUOUS", "ALIGNED", "WRITEABLE"):
            if not out.flags[flag]:
                raise ValueError(f"expected out to be {flag}, got an array that is not") from None


def checked_shape(capacity_frames: int, channels: int) -> tuple[int, int]:
    """Both as plain integers.

    Raises:
        ValueError: either is less than 1.
    """
    for name, value in (("capacity_frames", capacity_frames), ("channels", channels)):
        if operator.index(value) < 1:
            raise ValueError(f"expected {name} of at least 1, got {value}")
    return operator.index(capacity_frames), operator.index(channels)
