"""Threads for what waits for a disk: making the files of a take, reading and writing scenes.

So a disk that hangs holds up neither sound nor faders, nor the end of a run.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from streamer.errors import SinkError
from streamer.live.control.osc import Message

SOON_SECONDS: Final = 0.05
"""A disk that is well has done it by then."""

MOST_WAITING: Final = 8
STALE_SECONDS: Final = 5.0
"""A scene that has waited so long is no more what anybody wants to hear."""
CLOSE_SECONDS: Final = 10.0
"""How long the end of a run waits for a scene that is being saved."""

Answers = list[Message]
_Result = TypeVar("_Result")


class Apart:
    """A run's thread for takes and its one for scenes; each does one thing after the other."""

    def __init__(self) -> None:
        self._takes, self._scenes = _Lane(), _Lane(STALE_SECONDS)

    def takes(self, message: Message) -> bool:
        """Return whether a message is for these threads: it reads or writes files."""
        return bool(message.args) and message.address.startswith(("/record", "/scene"))

    def do(self, message: Message, act: Callable[[], Answers]) -> Future[Answers]:
        """Do what a message of `/record` or `/scene` says when it is its turn.

        Raises:
            SinkError: so much waits already that the disk seems to hang.
        """
        lane = self._takes if message.address == "/record" else self._scenes
        return lane.do(act)

    def do_soon(self, message: Message, act: Callable[[], Answers]) -> Future[Answers]:
        """As `do`, and wait until it is done, but no longer than `SOON_SECONDS`."""
        future = self.do(message, act)
        wait([future], SOON_SECONDS)
        return future

    def look(self, look: Callable[[], _Result]) -> Future[_Result] | None:
        """Look at the scenes' files; None: what was asked before is not done yet."""
        return self._scenes.do_at_once(look)

    def close(self) -> None:
        """End both threads when they have done what waits; wait for scenes, not for a hung disk."""
        self._takes.end()
        self._scenes.end(CLOSE_SECONDS)


class _Lane:
    """One of the threads. It ends with the process at the latest.

    What has waited for more than ``stale_seconds`` is refused.
    """

    def __init__(self, stale_seconds: float = math.inf) -> None:
        self._stale_seconds = stale_seconds
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._last: Future[Any] | None = None
        self._asking = threading.RLock()

    def do(self, act: Callable[[], _Result]) -> Future[_Result]:
        """See `Apart.do`."""
        done: Future[_Result] = Future()
        done.set_running_or_notify_cancel()  # it is done though who asked may be gone
        with self._asking:
            if self._queue.qsize() >= MOST_WAITING:
                raise SinkError(
                    "the disk does not answer; nothing more is recorded or saved until then"
                )
            if self._thread is None:
                run = threading.Thread(target=self._run, name="stemstream-files", daemon=True)
                self._thread = run
                run.start()
            self._last = done
            self._queue.put(partial(self._settle, done, act, time.monotonic()))
        return done

    def do_at_once(self, act: Callable[[], _Result]) -> Future[_Result] | None:
        """As `do`, but not where something waits or is being done."""
        with self._asking:
            is_busy = self._last is not None and not self._last.done()
            return None if is_busy else self.do(act)

    def end(self, seconds: float = 0.0) -> None:
        """Have the thread end when it has done what waits; wait so long for that."""
        with self._asking:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join(seconds)

    def _settle(self, done: Future[Any], act: Callable[[], Any], asked_at: float) -> None:
        try:
            if time.monotonic() - asked_at > self._stale_seconds:
                raise SinkError("the disk did not answer for too long; try again")
            done.set_result(act())
        except BaseException as error:  # whoever asked is told
            done.set_exception(error)

    def _run(self) -> None:
        while (settle := self._queue.get()) is not None:
            settle()
            del settle  # it may hold a whole run
