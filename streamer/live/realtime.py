"""Real-time priority of threads (SCHED_FIFO), as Linux grants it."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path


def threads() -> set[int]:
    """The system's ids of this process's threads; none where the system does not tell."""
    with suppress(OSError):
        return {int(thread.name) for thread in Path("/proc/self/task").iterdir()}
    return set()


def is_realtime(thread: int) -> bool:
    """Whether a thread has real-time priority."""
    with suppress(OSError):  # it has ended
        return os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR)
    return False


def is_granted() -> bool:
    """Whether a thread of this process would get real-time priority: by trying it on one.

    On macOS Core Audio gives it to its own threads, without being asked.
    """
    if sys.platform != "linux":
        return sys.platform == "darwin"
    granted = []

    def ask() -> None:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # 0: this thread
            granted.append(True)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return bool(granted)
