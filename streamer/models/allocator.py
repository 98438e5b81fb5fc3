"""How glibc deals with the memory of windows; other C libraries stay as they are."""

from __future__ import annotations

import ctypes
import platform

# malloc.h of glibc
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8

_NEVER = 2**31 - 1
_TOP_PAD_BYTES = 64 << 20


def keep_freed_memory() -> None:
    """Have the memory that one window frees kept for the next: for torch.

    glibc gives large freed blocks back to the kernel. Each window would then fault all its pages in
    again, which took a quarter of the time where we measured (`bench/throughput.py`).
    """
    _set(_M_MMAP_MAX, 0)
    _set(_M_TRIM_THRESHOLD, _NEVER)
    _set(_M_TOP_PAD, _TOP_PAD_BYTES)


def share_freed_memory() -> None:
    """Have the memory that one thread frees serve all others: for OpenVINO, before its threads are.

    glibc would keep it apart for each of them. A song of a minute takes 12 MB less, and no longer.
    """
    _set(_M_ARENA_MAX, 1)


def _set(parameter: int, value: int) -> None:
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(parameter, value)
