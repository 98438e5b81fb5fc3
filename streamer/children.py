"""What the processes that this program starts have in common."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from streamer.stop_signals import STOP_SIGNALS


@contextmanager
def deaf() -> Iterator[None]:
    """Make the processes that start meanwhile deaf to the signals that ask to stop.

    Ctrl-C goes to all processes, and so does a signal to a whole group. This process, whose main
    thread alone may call it, hears them at the end of the block.
    """
    came: list[int] = []
    # another thread, as libraries have them, may be given what this one does not take
    handlers = {
        signum: signal.signal(signum, lambda signum, _frame: came.append(signum))
        for signum in STOP_SIGNALS
        if signal.getsignal(signum) not in (signal.SIG_IGN, None)
    }
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        # it is a process, too, which the first one starts; that lets two of the signals in again
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for signum in came[:1]:
            signal.raise_signal(signum)


def end_with_parent() -> None:
    """Have this process end as soon as the one that started it has, however that ended.

    It ends at once and cleans nothing up: what it has half written, the next run clears away. From
    now on it hears SIGTERM, with which its parent ends it, though it began `deaf`.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
