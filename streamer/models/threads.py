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


def set_up_torch(threads: int | None = None) -> None:
    """Set what else holds for all networks; before they are made."""
    import torch

    from streamer.models.allocator import keep_freed_memory

    keep_freed_memory()
    # its "fast path" for encoder layers holds whole attention matrices, and is the slower one here
    torch.backends.mha.set_fastpath_enabled(False)
    if threads is not None:
        torch.set_num_threads(threads)
