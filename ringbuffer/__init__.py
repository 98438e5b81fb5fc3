"""A lock-free ring of float32 frames between one writer and one reader.

- `Ring` is the ring for Python, `SharedRing` the same in shared memory, between two processes.
- `ring_write`, `ring_read`, `ring_peek`, `ring_release`, ... are the same for Numba code, over a
  ring's `header` and `data` arrays.
- `ring_write_at`, ... are the same for C callbacks, over the arrays' addresses; `float32_at` and
  `int64_at` are views of what else a callback gets by address.

Positions are absolute frame numbers since the stream began. No call blocks: each does what it can
and returns a count. Of each ring one thread (or callback, or process) is the writer and one the
reader; who, stands at each function.

    ring = Ring(capacity_frames=48000, channels=2)
    written = ring.write(block)                # the writer
    got = ring.peek(window_start, window)      # the reader: a window that overlaps the next
    ring.release(window_start + hop_frames)    # the reader: what no later window needs
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ringbuffer.atomics import float32_at, int64_at
    from ringbuffer.native import (
        ring_end,
        ring_end_at,
        ring_peek,
        ring_peek_at,
        ring_read,
        ring_read_at,
        ring_readable,
        ring_readable_at,
        ring_release,
        ring_release_at,
        ring_reset,
        ring_start,
        ring_start_at,
        ring_writable,
        ring_writable_at,
        ring_write,
        ring_write_at,
    )
    from ringbuffer.ring import Ring
    from ringbuffer.shared import SharedRing

# Where each name lives, by module: `streamer.cache` needs files alone, and no Numba.
_HOMES: Final = {
    "ringbuffer.atomics": ("float32_at", "int64_at"),
    "ringbuffer.native": (
        "ring_end",
        "ring_end_at",
        "ring_peek",
        "ring_peek_at",
        "ring_read",
        "ring_read_at",
        "ring_readable",
        "ring_readable_at",
        "ring_release",
        "ring_release_at",
        "ring_reset",
        "ring_start",
        "ring_start_at",
        "ring_writable",
        "ring_writable_at",
        "ring_write",
        "ring_write_at",
    ),
    "ringbuffer.ring": ("Ring",),
    "ringbuffer.shared": ("SharedRing",),
}

__all__ = [
    "Ring",
    "SharedRing",
    "float32_at",
    "int64_at",
    "ring_end",
    "ring_end_at",
    "ring_peek",
    "ring_peek_at",
    "ring_read",
    "ring_read_at",
    "ring_readable",
    "ring_readable_at",
    "ring_release",
    "ring_release_at",
    "ring_reset",
    "ring_start",
    "ring_start_at",
    "ring_writable",
    "ring_writable_at",
    "ring_write",
    "ring_write_at",
]


def __getattr__(name: str) -> object:
    for home, members in _HOMES.items():
        if name in members:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
