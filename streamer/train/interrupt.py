"""Signals that ask for the end as a wish: the step that is being made is made to its end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

from streamer.stop_signals import STOP_SIGNALS


class Interrupt:
    """While it is entered the first signal is noted; the next one does what it did before.

    ``signum`` is the signal that came, None as long as there was none. Only for the main thread.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for signum in STOP_SIGNALS:
            if signal.getsignal(signum) != signal.SIG_IGN:  # as under nohup
                self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def _note(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.signum = signum
        self._restore()

    def _restore(self) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before.clear()


@contextmanager
def deaf() -> Iterator[None]:
    """Have the processes that are started meanwhile take no notice of such signals: Ctrl-C goes to
    all, and so does what is sent to a whole group.
    """
    before = {signum: signal.signal(signum, signal.SIG_IGN) for signum in STOP_SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def stay_deaf(worker: int) -> None:  # noqa: ARG001
    """Do in a process that makes examples what `deaf` did: torch has set a handler of its own."""
    for signum in STOP_SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
