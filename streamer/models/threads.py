"""Settings for a whole process that runs torch."""

from __future__ import annotations

import os
from typing import Final

_SPINS: Final = 3000
"""Some 0.1 ms. In OpenMP of GNU they are 300,000 without a policy, and none with a passive one."""


def spin_for_a_moment() -> None:
    """Make a waiting thread spin for a moment, and then sleep; call it before torch is imported.

    Threads wait for each other hundreds of times in a window, and to wake one that sleeps takes
    longer than many a part of it, above all in a virtual machine. But a spinning thread takes the
    core from the one that it waits for, if other programs want the same cores. A live window of
    2 s of htdemucs_mini took 145 ms without spins, 103 with these, and 90 with OpenMP's own (Intel
    Xeon, two cores, p50); beside a program that kept one core busy 162, 222, and 1348 ms.

    It sets variables of OpenMP, unless its policy is set already.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", str(_SPINS))


STREAM_THREADS: Final = 1
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
