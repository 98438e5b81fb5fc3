"""What is set for a whole process that runs torch."""

from __future__ import annotations

import os


def wait_without_spinning() -> None:
    """Have threads that wait for the others sleep, instead of spinning; before torch is imported.

    Where other programs want the same cores, a thread that spins keeps off the very one that it
    waits for: on two busy cores a window took 3 to 26 times as long. On two quiet ones sleeping
    costs some percent (-5 to +9 in four rounds). This is a variable of OpenMP, which one that is
    set already goes before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


STREAM_THREADS = 1
"""A hop of a streaming network is too small to share: of paced calls the slowest in a hundred took
41 to 112 ms on two threads, 6 ms on one."""

_left_alone: list[int] = []  # how many torch had before a streaming network took fewer


def use_threads(threads: int | None, *, stream: bool) -> None:
    """Have torch use so many threads; None: as many as suit a network of this kind.

    That holds for the process: the network that is made last has its way.
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
    """Set what else holds for all networks; before they are made."""
    import torch

    from streamer.models.allocator import keep_freed_memory

    keep_freed_memory()
    # its "fast path" for encoder layers holds whole attention matrices, and is the slower one here
    torch.backends.mha.set_fastpath_enabled(False)
    if threads is not None:
        torch.set_num_threads(threads)
