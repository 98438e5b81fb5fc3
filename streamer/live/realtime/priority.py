"""Real-time priority of threads (SCHED_FIFO), as Linux grants it."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress


def is_granted() -> bool:
    """Whether a thread of this process would get real-time priority: by trying it on one.

    On macOS Core Audio gives it to its own threads, without being asked.
    """
    if sys.platform != "linux":
        return sys.platform == "darwin"
    granted: list[bool] = []
    thread = threading.Thread(target=lambda: granted.append(ask()))
    thread.start()
    thread.join()
    return granted[0]


def ask() -> bool:
    """Ask for real-time priority for this thread; return whether it was granted."""
    if sys.platform != "linux":
        return False
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # 0: this thread
        return True
    return False
