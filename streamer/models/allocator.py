"""Have the C library keep the memory that a window's computation frees, for the next window.

glibc gives large blocks back to the kernel when they are freed, so each window would fault all
of its pages in again: a quarter of the time, where we measured (`bench/throughput.py`).
"""

from __future__ import annotations

import ctypes
import platform

# malloc.h of glibc
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4

_NEVER = 2**31 - 1
_TOP_PAD_BYTES = 64 << 20


def keep_freed_memory() -> None:
    """Tell glibc so, for this process; other C libraries are left as they are."""
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _NEVER)
    mallopt(_M_TOP_PAD, _TOP_PAD_BYTES)
