"""A ring between two processes, in POSIX shared memory."""

from __future__ import annotations

import mmap
import os
from multiprocessing.shared_memory import SharedMemory
from types import TracebackType
from typing import Any, Self

import numpy as np

from ringbuffer.kept import is_own
from ringbuffer.native import HEADER_WORDS, ring_format, ring_is_formatted, ring_shape
from ringbuffer.ring import Ring, checked_shape

_HEADER_BYTES = HEADER_WORDS * 8


class SharedRing(Ring):
    """A `Ring` whose header and samples lie in shared memory, one process on each side.

    One process makes it with `create` and gives its `name` to the other, which opens it with
    `attach`; or the ring itself is passed to a `multiprocessing.Process`, which attaches it.
    Either may be the writer. Use it in a `with` block: leaving closes it, and for the one that
    created it also removes the name.
    """

    name: str

    def __init__(self, mapping: mmap.mmap, name: str, segment: SharedMemory | None) -> None:
        """Not for callers: see `create` and `attach`."""
        header = np.frombuffer(mapping, np.int64, HEADER_WORDS)
        capacity_frames, channels = ring_shape(header)
        data = np.frombuffer(mapping, np.float32, capacity_frames * channels, _HEADER_BYTES)
        self._adopt(header, data, capacity_frames, channels)
        self.name = name
        self._segment = segment

    @classmethod
    def create(cls, capacity_frames: int, channels: int, name: str | None = None) -> Self:
        """Make a new, empty ring; its name is made up where none is given.

        Raises:
            ValueError: the capacity or the number of channels is less than 1.
            FileExistsError: the name is taken.
            OSError: there is not enough shared memory.
        """
        capacity_frames, channels = checked_shape(capacity_frames, channels)
        size_bytes = _HEADER_BYTES + capacity_frames * channels * 4
        # Creating through the library has its resource tracker remove what a crash leaves behind.
        segment = SharedMemory(name, create=True, size=size_bytes)
        segment.close()
        try:
            mapping = _map(segment.name, size_bytes)
        except OSError:
            segment.unlink()
            raise
        ring_format(np.frombuffer(mapping, np.int64, HEADER_WORDS), capacity_frames, channels)
        return cls(mapping, segment.name, segment)

    @classmethod
    def attach(cls, name: str) -> Self:
        """Open the ring that another process, or another part of this one, has created.

        Raises:
            FileNotFoundError: there is no such shared memory.
            PermissionError: it is another user's.
            ValueError: it is not a ring, or not yet one.
        """
        mapping = _map(name, 0)
        whole = len(mapping) >= _HEADER_BYTES
        if not whole or not ring_is_formatted(np.frombuffer(mapping, np.int64, HEADER_WORDS)):
            raise ValueError(f"expected the shared memory {name!r} to hold a ring, got other bytes")
        return cls(mapping, name, None)

    def close(self) -> None:
        """Let go of the memory; the other process keeps its own hold. Closing twice is fine.

        Arrays taken from `header` and `data` stay valid: the memory goes with the last of them.
        """
        self.__dict__.pop("header", None)
        self.__dict__.pop("data", None)

    def unlink(self) -> None:
        """Remove the name, so that the memory goes when both sides have closed.

        Only for the one that created it; once is enough, twice is fine.
        """
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.unlink()

    def __getattr__(self, name: str) -> Any:
        # Reached only where the attribute is gone, so an open ring pays nothing for the check.
        if name in ("header", "data"):
            raise ValueError(f"expected an open ring, got the closed ring {self.name!r}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        self.unlink()

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return type(self).attach, (self.name,)


def _map(name: str, reserve_bytes: int) -> mmap.mmap:
    """Map the whole of a shared memory object, after filling `reserve_bytes` of it with zeros."""
    # Before Python 3.13 `SharedMemory(name)` hands every segment it opens to the resource tracker,
    # which then removes it under its creator's feet (python/cpython#82300). Opening it by the call
    # that SharedMemory itself uses leaves the tracker out. Windows has no such call; imported here,
    # it costs Windows only the shared ring.
    import _posixshmem  # type: ignore[import-not-found, unused-ignore]

    handle = _posixshmem.shm_open(f"/{name}", os.O_RDWR, mode=0o600)
    try:
        if not is_own(os.fstat(handle)):
            raise PermissionError(f"expected shared memory of one's own, got {name!r}")
        if reserve_bytes and hasattr(os, "posix_fallocate"):
            # A full /dev/shm is an OSError here; left to the first write it kills the process.
            os.posix_fallocate(handle, 0, reserve_bytes)
        try:
            return mmap.mmap(handle, 0)
        except ValueError as error:
            raise ValueError(
                f"expected the shared memory {name!r} to hold a ring, got 0 bytes"
            ) from error
    finally:
        os.close(handle)
