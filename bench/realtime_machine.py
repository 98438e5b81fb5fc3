"""When the machine itself stood still: no program could have been on time then.

A thread on each core sleeps half a millisecond at a time, at the highest real-time priority, and
does nothing else. If it wakes late, the core was not there: the host of a virtual machine had taken
it, or the kernel kept it. So a thread of less priority was not there either.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Self

import numba
import numpy as np
from realtime_device import now, sleep_until

from ringbuffer.atomics import load_acquire

PERIOD_SECONDS = 0.0005
LEAST_SECONDS = 0.0001
"""Who wakes less late is on time."""
MOST_STALLS = 1_000_000


@numba.njit(nogil=True, error_model="numpy")
def _watch(period, least, orders, stalls):
    """Note each time that this thread wakes late: when it woke, and how late. Return how often."""
    words, count = np.zeros(2, np.int64), 0
    due = now(words)
    while load_acquire(orders.ctypes.data) == 0 and count < len(stalls):
        due += np.int64(period * 1e9)
        woke = sleep_until(due, words)
        if woke - due > least * 1e9:
            stalls[count, 0], stalls[count, 1] = woke * 1e-9, (woke - due) * 1e-9
            count += 1
            due = woke
    return count


class Stalls:
    """Watches the cores from `__enter__` to `__exit__`.

    Each of ``all`` is a row: when it was over, on the monotonic clock, and for how long a core was
    away, in seconds. ``real_time`` tells whether the threads had their priority.
    """

    def __init__(self) -> None:
        self.all = np.zeros((0, 2))
        self.real_time = True
        self._orders = np.zeros(1, np.int64)  # stop
        self._cores = sorted(os.sched_getaffinity(0))
        self._rooms = [np.zeros((MOST_STALLS, 2)) for _ in self._cores]
        self._counts = [0] * len(self._cores)
        self._threads = [
            threading.Thread(target=self._run, args=(index,), daemon=True)
            for index in range(len(self._cores))
        ]
        _watch(PERIOD_SECONDS, LEAST_SECONDS, np.ones(1, np.int64), self._rooms[0])  # compiles

    def _run(self, index: int) -> None:
        os.sched_setaffinity(0, {self._cores[index]})  # 0: this thread
        try:
            most = os.sched_get_priority_max(os.SCHED_FIFO)
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(most))
        except OSError:
            self.real_time = False
        room = self._rooms[index]
        self._counts[index] = _watch(PERIOD_SECONDS, LEAST_SECONDS, self._orders, room)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._orders[0] = 1
        for thread in self._threads:
            with suppress(RuntimeError):
                thread.join()
        counted = zip(self._rooms, self._counts, strict=True)
        self.all = np.concatenate([room[:count] for room, count in counted])


def longest(stalls, began: float, ended: float) -> float:
    """Return how long a core was away at most, between two times."""
    during = stalls[(stalls[:, 0] > began) & (stalls[:, 0] < ended)]
    return float(during[:, 1].max(initial=0.0))


def times_away(stalls, began: float, ended: float, spare: float) -> int:
    """Return how often a core was away for longer than the ``spare`` time, between two times."""
    during = stalls[(stalls[:, 0] > began) & (stalls[:, 0] < ended)]
    return int((during[:, 1] >= spare).sum())


def machines(holes, stalls, late_calls, reach: float) -> int:
    """Return of how many blocks with a hole, at these times, the machine is why.

    Those that follow each other within ``reach`` seconds, the delay of a run, have one reason. It
    is the machine if in that time, or the same time before, a core was away (``stalls``) or the
    device called late.
    """
    if not len(holes):
        return 0
    begins = np.concatenate([stalls[:, 0] - stalls[:, 1], late_calls])
    ends = np.concatenate([stalls[:, 0], late_calls])
    count = 0
    for group in np.split(holes, np.flatnonzero(np.diff(holes) > reach) + 1):
        count += len(group) * bool(((ends > group[0] - reach) & (begins < group[-1])).any())
    return count
