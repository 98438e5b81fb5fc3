"""How torch's threads wait for each other."""

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
