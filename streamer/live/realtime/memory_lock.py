"""Memory that stays where it is: locked, it never has to be read back from a disk (mlockall)."""

from __future__ import annotations

import ctypes
import sys
import threading
from pathlib import Path
from typing import Final

_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4  # on fault: what is never touched takes no room
_CAP_IPC_LOCK: Final = 14

_changing = threading.Lock()
_holders = 0
"""How many want the memory of this process locked: it is all or nothing."""


def is_granted() -> bool:
    """Whether this process may lock as much as it likes (Linux alone).

    Who may lock a part would be refused new memory later, when that part is used up.
    """
    if sys.platform != "linux":
        return False
    import resource  # Windows has none

    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return soft == resource.RLIM_INFINITY or bool(_capabilities() >> _CAP_IPC_LOCK & 1)


def _capabilities() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line[7:], 16) for line in lines if line.startswith("CapEff:")), 0)


def lock() -> bool:
    """Keep in memory what was touched, and what will be, until `unlock`; True where granted.

    Where it is not, nothing changes. Each call that returns True wants one `unlock`.
    """
    global _holders
    with _changing:
        if not _holders and not _lock_all():
            return False
        _holders += 1
        return True


def _lock_all() -> bool:
    return is_granted() and _libc().mlockall(_CURRENT | _FUTURE | _ON_FAULT) == 0


def unlock() -> None:
    """Let the system move memory again, unless another still wants it locked."""
    global _holders
    with _changing:
        _holders -= 1
        if not _holders:
            _libc().munlockall()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
