"""Calls into a sound server's library, which hang where the server does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from streamer.errors import DeviceError

PATIENCE_SECONDS = 5.0

_Result = TypeVar("_Result")


class NoAnswerError(DeviceError):
    """A call did not return. Its thread is still in it."""


def in_time(
    function: Callable[[], _Result],
    thread_name: str,
    patience_seconds: float = PATIENCE_SECONDS,
    late: Callable[[], object] | None = None,
) -> _Result:
    """Run a call on a thread of its own, and wait for it for some seconds.

    If nobody waits any more when it ends after all, that thread calls ``late``: it gives back what
    nobody will take.

    Raises:
        NoAnswerError: it does not return; what it works on must live on.
    """
    outcome: list[_Result] = []
    failure: list[BaseException] = []
    ended, handing, given_up = threading.Event(), threading.Lock(), threading.Event()

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # raised again below, by the one who waits
            failure.append(error)
        with handing:
            ended.set()
        if given_up.is_set() and late is not None:
            with suppress(Exception):  # there is nobody to tell
                late()

    threading.Thread(target=run, name=thread_name, daemon=True).start()
    try:
        ended.wait(patience_seconds)
    finally:  # Ctrl-C gives it up, too
        with handing:
            if not ended.is_set():
                given_up.set()
    if given_up.is_set():
        raise NoAnswerError(
            "the sound server does not answer; restart it, or see `stemstream doctor`"
        )
    if failure:
        raise failure[0]
    return outcome[0]
