"""Threads for what waits for a disk: making the files of a take, reading and writing scenes.

So a disk that hangs holds up neither sound nor faders, nor the end of a run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from streamer.errors import SinkError
from streamer.live.control.osc import Message

SOON_SECONDS: Final = 0.05
"""A disk that is well has done it by then."""

MOST_WAITING: Final = 8

Answers = list[Message]
_Result = TypeVar("_Result")


class Apart:
    """A run's thread for takes and its one for scenes; each does one thing after the other."""

    def __init__(self) -> None:
        self._takes, self._scenes = _Lane(), _Lane()

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
        return None if self._scenes.is_busy else self._scenes.do(look)


class _Lane:
    """One of the threads. It ends with the process."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._last: Future[Any] | None = None
        self._asking = threading.Lock()

    @property
    def is_busy(self) -> bool:
        """Whether something waits or is being done."""
        return self._last is not None and not self._last.done()

    def do(self, act: Callable[[], _Result]) -> Future[_Result]:
        """See `Apart.do`."""
        done: Future[_Result] = Future()
        done.set_running_or_notify_cancel()  # it is done though who asked may be gone
        with self._asking:
            if self._queue.qsize() >= MOST_WAITING:
                raise SinkError(
                    "the disk does not answer; nothing more is recorded or saved until then"
                )
            if self._last is None:
                threading.Thread(target=self._run, name="stemstream-files", daemon=True).start()
            self._last = done
            self._queue.put((act, done))
        return done

    def _run(self) -> None:
        while True:
            act, future = self._queue.get()
            try:
                future.set_result(act())
            except BaseException as error:  # whoever asked is told
                future.set_exception(error)
