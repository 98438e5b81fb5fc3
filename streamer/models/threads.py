"""How torch's threads wait for each other."""

from __future__ import annotations

import os


def wait_without_spinning() -> None:
    """Have threads that wait for the others sleep, instead of spinning; before torch is imported.

    Where other programs want the same cores, a thread that spins keeps off the very one that it
    waits for: with both cores of a machine in use, a window took 10 to 30 times as long. This is a
    variable of OpenMP, which one that is set already goes before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
