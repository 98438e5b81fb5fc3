"""The ring in compiled code: functions over `(header, data)`, and the same over their addresses.

A ring is two arrays: `data`, a flat float32 block of interleaved frames, and `header`, 48 int64
with the ring's size and two counters. The write counter is the number of frames ever written, the
read counter the first frame not yet released; both are absolute and only grow, so a ring is never
ambiguous between full and empty, and frame n lies in slot `n % capacity`.

One thread writes, one reads. Each side stores its own counter and loads the other's, always after
its samples are done: samples first, then the counter. No call blocks, allocates or takes a lock.
The algorithm is Lamport's, "Specifying concurrent program modules" (ACM TOPLAS 5(2), 1983).

`ring_*` take arrays and raise ValueError on a mistake. `ring_*_at` take int64 addresses, for C
callbacks: they check nothing, and raise nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import types

from ringbuffer.atomics import copy_bytes, int64_at, load_acquire, store_release
from ringbuffer.compiled import compiled

# 128 bytes each: the cache line of Apple's CPUs, and the pair of lines that Intel's fetch at once.
# A counter alone on its line is not pulled from its owner's cache when the other side writes.
_LINE = 16
_MAGIC, _CAPACITY, _CHANNELS = 0, 1, 2
_WRITE = _LINE
_READ = 2 * _LINE
HEADER_WORDS = 3 * _LINE

_WORD_BYTES = 8
_SAMPLE_BYTES = 4
_RING_MAGIC = int.from_bytes(b"stemring", "little")

_HEADER = types.int64[::1]
_DATA = types.float32[::1]
_FRAMES_OUT = types.float32[:, ::1]
_FRAMES_IN = types.Array(types.float32, 2, "C", readonly=True)
_INT = types.int64

Header = npt.NDArray[np.int64]
Samples = npt.NDArray[np.float32]


@compiled(_INT(_INT), inside=True)
def ring_start_at(header_address: int) -> int:
    """The first frame held, absolute. Any thread."""
    return load_acquire(header_address + _READ * _WORD_BYTES)


@compiled(_INT(_INT), inside=True)
def ring_end_at(header_address: int) -> int:
    """One past the last frame written, absolute. Any thread."""
    return load_acquire(header_address + _WRITE * _WORD_BYTES)


@compiled(_INT(_INT), inside=True)
def ring_readable_at(header_address: int) -> int:
    """Frames held: the reader can read them now. Any thread."""
    capacity: int = int64_at(header_address, HEADER_WORDS)[_CAPACITY]
    # The read counter first, so that the difference cannot be negative. Between the two loads
    # both sides may move on, which to a third thread can look like more than a ringful.
    start = ring_start_at(header_address)
    return min(capacity, ring_end_at(header_address) - start)


@compiled(_INT(_INT), inside=True)
def ring_writable_at(header_address: int) -> int:
    """Room: the frames that the writer can write now. Any thread."""
    capacity: int = int64_at(header_address, HEADER_WORDS)[_CAPACITY]
    return capacity - ring_readable_at(header_address)


@compiled(_INT(_INT, _INT, _INT, _INT), inside=True)
def ring_write_at(header_address: int, data_address: int, samples_address: int, frames: int) -> int:
    """Write up to `frames` interleaved float32 frames; return how many fitted. Writer only."""
    header = int64_at(header_address, HEADER_WORDS)
    capacity = header[_CAPACITY]
    frame_bytes = header[_CHANNELS] * _SAMPLE_BYTES
    end = header[_WRITE]
    count = min(frames, capacity - (end - ring_start_at(header_address)))
    if count <= 0:
        return 0
    slot = end % capacity
    until_wrap = min(count, capacity - slot)
    copy_bytes(data_address + slot * frame_bytes, samples_address, until_wrap * frame_bytes)
    copy_bytes(
        data_address,
        samples_address + until_wrap * frame_bytes,
        (count - until_wrap) * frame_bytes,
    )
    store_release(header_address + _WRITE * _WORD_BYTES, end + count)
    return int(count)


@compiled(_INT(_INT, _INT, _INT, _INT, _INT), inside=True)
def ring_peek_at(
    header_address: int, data_address: int, start_frame: int, out_address: int, frames: int
) -> int:
    """Copy up to `frames` frames from the absolute `start_frame` on, and keep them. Reader only.

    Returns how many were there, or -1 where `start_frame` is already released.
    """
    header = int64_at(header_address, HEADER_WORDS)
    if start_frame < header[_READ]:
        return -1
    count = min(frames, ring_end_at(header_address) - start_frame)
    if count <= 0:
        return 0
    capacity = header[_CAPACITY]
    frame_bytes = header[_CHANNELS] * _SAMPLE_BYTES
    slot = start_frame % capacity
    until_wrap = min(count, capacity - slot)
    copy_bytes(out_address, data_address + slot * frame_bytes, until_wrap * frame_bytes)
    copy_bytes(
        out_address + until_wrap * frame_bytes,
        data_address,
        (count - until_wrap) * frame_bytes,
    )
    return count


@compiled(types.void(_INT, _INT), inside=True)
def ring_release_at(header_address: int, until_frame: int) -> None:
    """Free everything before the absolute `until_frame`. Reader only.

    What is already released stays so, and no frame is released before it was written.
    """
    until = min(until_frame, ring_end_at(header_address))
    if until > int64_at(header_address, HEADER_WORDS)[_READ]:
        store_release(header_address + _READ * _WORD_BYTES, until)


@compiled(_INT(_INT, _INT, _INT, _INT), inside=True)
def ring_read_at(header_address: int, data_address: int, out_address: int, frames: int) -> int:
    """Copy up to `frames` frames out and release them; return how many there were. Reader only."""
    start = int64_at(header_address, HEADER_WORDS)[_READ]
    count = ring_peek_at(header_address, data_address, start, out_address, frames)
    ring_release_at(header_address, start + count)
    return count


@compiled(_INT(_HEADER))
def ring_start(header: Header) -> int:
    """The first frame held, absolute. Any thread."""
    return ring_start_at(header.ctypes.data)


@compiled(_INT(_HEADER))
def ring_end(header: Header) -> int:
    """One past the last frame written, absolute. Any thread."""
    return ring_end_at(header.ctypes.data)


@compiled(_INT(_HEADER))
def ring_readable(header: Header) -> int:
    """Frames held: the reader can read them now. Any thread."""
    return ring_readable_at(header.ctypes.data)


@compiled(_INT(_HEADER))
def ring_writable(header: Header) -> int:
    """Room: the frames that the writer can write now. Any thread."""
    return ring_writable_at(header.ctypes.data)


@compiled(_INT(_HEADER, _DATA, _FRAMES_IN))
def ring_write(header: Header, data: Samples, samples: Samples) -> int:
    """Write what fits of `samples` `(frames, channels)`; return the frames written. Writer only.

    Raises:
        ValueError: the samples have other channels than the ring.
    """
    if samples.shape[1] != header[_CHANNELS]:
        raise ValueError("expected samples with the ring's number of channels")
    return ring_write_at(
        header.ctypes.data, data.ctypes.data, samples.ctypes.data, samples.shape[0]
    )


@compiled(_INT(_HEADER, _DATA, _FRAMES_OUT))
def ring_read(header: Header, data: Samples, out: Samples) -> int:
    """Fill `out` `(frames, channels)` as far as there are frames, and release them. Reader only.

    Returns how many there were.

    Raises:
        ValueError: `out` has other channels than the ring.
    """
    if out.shape[1] != header[_CHANNELS]:
        raise ValueError("expected an output with the ring's number of channels")
    return ring_read_at(header.ctypes.data, data.ctypes.data, out.ctypes.data, out.shape[0])


@compiled(_INT(_HEADER, _DATA, _INT, _FRAMES_OUT))
def ring_peek(header: Header, data: Samples, start_frame: int, out: Samples) -> int:
    """Copy frames from the absolute `start_frame` on into `out`, and keep them. Reader only.

    Returns how many were there.

    Raises:
        ValueError: `out` has other channels than the ring, or `start_frame` is released.
    """
    if out.shape[1] != header[_CHANNELS]:
        raise ValueError("expected an output with the ring's number of channels")
    count = ring_peek_at(
        header.ctypes.data, data.ctypes.data, start_frame, out.ctypes.data, out.shape[0]
    )
    if count < 0:
        raise ValueError("expected a start frame that is not yet released")
    return count


@compiled(types.void(_HEADER, _INT))
def ring_release(header: Header, until_frame: int) -> None:
    """Free everything before the absolute `until_frame`. Reader only.

    What is already released stays so, and no frame is released before it was written.
    """
    ring_release_at(header.ctypes.data, until_frame)


@compiled(types.void(_HEADER, _INT))
def ring_reset(header: Header, start_frame: int) -> None:
    """Empty the ring; the next frame written is the absolute `start_frame`.

    Belongs to neither side: only while no one reads or writes.
    """
    store_release(header.ctypes.data + _READ * _WORD_BYTES, start_frame)
    store_release(header.ctypes.data + _WRITE * _WORD_BYTES, start_frame)


@compiled(types.void(_HEADER, _INT, _INT))
def ring_format(header: Header, capacity_frames: int, channels: int) -> None:
    """Turn a block of `HEADER_WORDS` int64 into the header of an empty ring, before anyone uses it.

    The mark by which `ring_is_formatted` knows a ring goes in last.
    """
    header[_CAPACITY] = capacity_frames
    header[_CHANNELS] = channels
    ring_reset(header, 0)
    store_release(header.ctypes.data + _MAGIC * _WORD_BYTES, _RING_MAGIC)


@compiled(types.boolean(_HEADER))
def ring_is_formatted(header: Header) -> bool:
    """Whether `header` is a ring's: another process may look before the first has made it one."""
    return load_acquire(header.ctypes.data + _MAGIC * _WORD_BYTES) == _RING_MAGIC


def ring_shape(header: Header) -> tuple[int, int]:
    """The ring's `(capacity_frames, channels)`. Plain Python: neither ever changes."""
    return int(header[_CAPACITY]), int(header[_CHANNELS])
