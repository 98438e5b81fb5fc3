"""Ctrl-C at every moment of some code, one after the other."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import streamer

ROOM = str(Path(streamer.__file__).parent)


class Interrupted:
    """Runs a call, and breaks into it at a line, call or return of our own code.

    With ``only`` it breaks into the functions of these names alone. Each run has a thread of its
    own: Python 3.11 may go on handling what a trace function raised, and that error would be the
    context of all later ones.
    """

    def __init__(self, call: Callable[[], object], only: Collection[str] = ()) -> None:
        self._call = call
        self._only = only
        self._left = 0

    def at(self, moment: int) -> bool:
        """Run it up to a moment, from 1; return whether it came so far."""
        self._left = moment
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self._run).result()

    def _run(self) -> bool:
        try:
            sys.settrace(self._trace)
            self._call()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(None)
        return False

    def _trace(self, frame: FrameType, event: str, _arg: object) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(ROOM) or (self._only and code.co_name not in self._only):
            return None
        if event == "return" and code.co_flags & inspect.CO_GENERATOR:
            return self._trace  # between a yield and who waits for it no Ctrl-C is let in
        self._left -= 1
        if self._left == 0:
            sys.settrace(None)
            raise KeyboardInterrupt
        return self._trace
