"""Signals as a wish to stop: the present step is still finished."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Self

from streamer.stop_signals import STOP_SIGNALS


class Interrupt:
    """Inside this context the first signal is only noted; the next one acts as before.

    ``signum`` is the signal that came, or None. Only for the main thread.
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


def stay_deaf(worker: int) -> None:  # noqa: ARG001
    """Ignore the signals in a process that makes examples: torch has set a handler of its own."""
    for signum in STOP_SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
