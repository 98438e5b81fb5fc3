"""Settings for a whole process that runs torch."""

from __future__ import annotations

import os


def wait_without_spinning() -> None:
    """Make waiting threads sleep instead of spin; call it before torch is imported.

    If other programs want the same cores, a spinning thread takes the core from the thread that it
    waits for: on two busy cores a window took 3 to 26 times as long. On two quiet cores sleeping
    costs some percent (-5 to +9 in four rounds). It sets a variable of OpenMP, unless it is already
    set.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


STREAM_THREADS = 1
"""A hop of a streaming network is too small to share: in paced calls the slowest in a hundred took
41 to 112 ms on two threads, and 6 ms on one."""

_left_alone: list[int] = []  # how many torch had before a streaming network took fewer


def use_threads(threads: int | None, *, stream: bool) -> None:
    """Set how many threads torch uses; None: the best number for a network of this kind.

    This is for the whole process: the network that is made last decides.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    elif stream:
        if torch.get_num_threads() != STREAM_THREADS:
            _left_alone[:] = [torch.get_num_threads()]
        torch.set_num_threads(STREAM_THREADS)
    elif _left_alone:
        torch.set_num_threads(_left_alone.pop())


def set_up_torch(threads: int | None = None) -> None:
    """Make the other settings for all networks; call it before they are made."""
    import torch

    from streamer.models.allocator import keep_freed_memory

    keep_freed_memory()
    # its "fast path" for encoder layers holds whole attention matrices, and is the slower one here
    torch.backends.mha.set_fastpath_enabled(False)
    if threads is not None:
        torch.set_num_threads(threads)
