"""How each block wakes the thread of the hops: a semaphore, which the capture callback posts.

`sem_post` never waits: it counts one up, and has the system wake who waits. macOS has no such
semaphore in memory. There the thread looks again after a short sleep. See
https://pubs.opengroup.org/onlinepubs/9699919799/functions/sem_post.html.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

import numpy as np
from numpy.typing import NDArray

_WORDS: Final = 4  # of a sem_t, on all systems with 64 bits
_OF_THIS_PROCESS: Final = 0


class Semaphore:
    """It begins with 0. ``address`` is 0 where the system has none."""

    def __init__(self) -> None:
        self._memory: NDArray[np.int64] = np.zeros(_WORDS, np.int64)
        address = int(self._memory.ctypes.data)
        self.address = address if _begin(address) else 0

    def post(self) -> None:
        """Wake the thread that waits, or have the next that would wait go on at once."""
        if self.address:
            ctypes.CDLL(None).sem_post(ctypes.c_void_p(self.address))


def _begin(address: int) -> bool:
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).sem_init(ctypes.c_void_p(address), _OF_THIS_PROCESS, 0) == 0)
