"""The threads of a live run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Turns:
    """Takes turns, each kind in a thread of its own, as long as ``going`` returns True.

    An error ends only its own thread. Then ``failed`` is called with it at once, and `wait` raises
    it.
    """

    def __init__(self, going: Callable[[], bool], failed: Callable[[Exception], None]) -> None:
        self._going, self._failed = going, failed
        self._threads: list[threading.Thread] = []
        self._ended = threading.Event()
        self._error: Exception | None = None

    def start(self, name: str, turn: Callable[[], None], seconds: float) -> None:
        """Call ``turn`` again and again in a new thread, with ``seconds`` between the calls."""
        thread = threading.Thread(target=self._run, args=(turn, seconds), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run(self, turn: Callable[[], None], seconds: float) -> None:
        try:
            while self._going():
                turn()
                time.sleep(seconds)
        except Exception as error:  # raised again in the thread that asked for the turns
            self._error = error
            self._failed(error)
        finally:
            self._ended.set()

    @property
    def started(self) -> bool:
        """Whether there is any thread."""
        return bool(self._threads)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until a thread ends; return whether one has ended. Raises its error."""
        ended = self._ended.wait(seconds)
        if ended and self._error is not None:
            raise self._error
        return ended

    def join(self) -> None:
        """Wait until all have ended."""
        for thread in self._threads:
            thread.join()
