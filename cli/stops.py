"""The signals that ask this run to stop; see `cli.main`.

``asked`` has those that came, in their order. Libraries that are stopped while they are imported
turn that into errors of their own, so whoever goes on after an unexpected error looks here first.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, Final

from streamer.stop_signals import STOP_SIGNALS

HASTE_SECONDS: Final = 1.0
"""A second Ctrl-C so soon after the first would only break into its cleaning up."""
AGAIN_SECONDS: Final = 0.01

asked: Final[list[int]] = []


class StopSignals:
    """Makes an exception of each signal that asks to stop, so what is half written is cleaned up.

    Ctrl-C is a KeyboardInterrupt, the others are a SystemExit.
    """

    def __init__(self) -> None:
        self._stopped_at = -math.inf
        self._hook = sys.unraisablehook

    def heed(self) -> None:
        """Begin; forget what came before."""
        asked.clear()
        for signum in STOP_SIGNALS:
            if signal.getsignal(signum) != signal.SIG_IGN:  # as under nohup
                signal.signal(signum, self._stop)
        sys.unraisablehook = self._unraisable

    def ignore(self) -> None:
        """Let none in any more.

        What is left ends by itself: threads, within the window that they are at, and libraries,
        which show a traceback or abort where they are broken into.
        """
        for signum in STOP_SIGNALS:
            signal.signal(signum, signal.SIG_IGN)
        sys.unraisablehook = self._hook

    def _stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if time.monotonic() < self._stopped_at + HASTE_SECONDS:
            return
        self._stopped_at = time.monotonic()
        asked.append(signum)
        raise KeyboardInterrupt if signum == signal.SIGINT else SystemExit(128 + signum)

    def _unraisable(self, lost: Any) -> None:
        if isinstance(lost.exc_value, KeyboardInterrupt | SystemExit) and asked:
            # it broke into a call back from a library, as numba's when it loads code: send it again
            self._stopped_at = -math.inf
            threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), asked[-1])).start()
        else:
            self._hook(lost)
