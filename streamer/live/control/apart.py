"""Threads for what waits for a disk: making the files of a take, writing a scene.

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


class Apart:
    """A thread for takes and one for scenes; each does one thing after the other."""

    def __init__(self) -> None:
        self._takes, self._scenes = _Lane(), _Lane()

    def takes(self, message: Message) -> bool:
        """Return whether a message is for these threads: it makes or writes files.

        While a scene is written, one that is to be recalled waits for its turn, too.
        """
        is_scene = message.address.startswith("/scene") and self._scenes.is_busy
        return bool(message.args) and (message.address in _WAIT or is_scene)

    def do(self, message: Message, act: Callable[[], Answers]) -> Future[Answers]:
        """Do what a message of `/record` or `/scene` says when it is its turn; from one thread.

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


class _Lane:
    """One of the threads. It ends with the process."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._last: Future[Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something waits or is being done."""
        return self._last is not None and not self._last.done()

    def do(self, act: Callable[[], Answers]) -> Future[Answers]:
        """See `Apart.do`."""
        if self._queue.qsize() >= MOST_WAITING:
            raise SinkError(
                "the disk does not answer; nothing more is recorded or saved until then"
            )
        if self._last is None:
            threading.Thread(target=self._run, name="stemstream-files", daemon=True).start()
        self._last = Future()
        self._last.set_running_or_notify_cancel()  # it is done though who asked may be gone
        self._queue.put((act, self._last))
        return self._last

    def _run(self) -> None:
        while True:
            act, future = self._queue.get()
            try:
                future.set_result(act())
            except BaseException as error:  # whoever asked is told
                future.set_exception(error)
