"""A thread for what waits for a disk: making the files of a take, writing a scene.

So a disk that hangs while it makes these holds up neither faders nor the end of a run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, Final

from streamer.errors import SinkError
from streamer.live.control.osc import Message

_WAIT: Final = frozenset({"/record", "/scene/save", "/scene/rename"})
SOON_SECONDS: Final = 0.05
"""A disk that is well has done it by then."""

MOST_WAITING: Final = 8

Answers = list[Message]


def waits_for_disk(message: Message) -> bool:
    """Return whether a message makes or writes files. One without a value asks for it alone."""
    return message.address in _WAIT and bool(message.args)


class Apart:
    """Does one thing after the other in a thread, which ends with the process."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def do(self, act: Callable[[], Answers]) -> Future[Answers]:
        """Do this when it is its turn; from one thread.

        Raises:
            SinkError: so much waits already that the disk seems to hang.
        """
        if self._queue.qsize() >= MOST_WAITING:
            raise SinkError(
                "the disk does not answer; nothing more is recorded or saved until then"
            )
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="stemstream-files", daemon=True)
            self._thread.start()
        future: Future[Answers] = Future()
        self._queue.put((act, future))
        return future

    def do_soon(self, act: Callable[[], Answers]) -> Future[Answers]:
        """Do this, and wait until it is done, but no longer than `SOON_SECONDS`; see `do`."""
        future = self.do(act)
        wait([future], SOON_SECONDS)
        return future

    def _run(self) -> None:
        while True:
            act, future = self._queue.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(act())
            except BaseException as error:  # whoever asked is told
                future.set_exception(error)
