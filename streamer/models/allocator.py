"""Make the C library keep the memory that one window frees, for the next window.

glibc gives large freed blocks back to the kernel. Each window would then fault all its pages in
again, which took a quarter of the time where we measured (`bench/throughput.py`).
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
    """Set this in glibc for this process; other C libraries stay as they are."""
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _NEVER)
    mallopt(_M_TOP_PAD, _TOP_PAD_BYTES)
