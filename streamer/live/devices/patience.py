"""Calls into a sound server's library, which hang where the server does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from streamer.errors import DeviceError

PATIENCE_SECONDS = 5.0

_Result = TypeVar("_Result")


class NoAnswerError(DeviceError):
    """A call did not return. Its thread is still in it."""


def in_time(
    function: Callable[[], _Result], thread_name: str, patience_seconds: float = PATIENCE_SECONDS
) -> _Result:
    """Run a call on a thread of its own, and wait for it for some seconds.

    Raises:
        NoAnswerError: it does not return; what it works on must live on.
    """
    outcome: list[_Result] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # raised again below, by the one who waits
            failure.append(error)

    thread = threading.Thread(target=run, name=thread_name, daemon=True)
    thread.start()
    thread.join(patience_seconds)
    if failure:
        raise failure[0]
    if not outcome:
        raise NoAnswerError(
            "the sound server does not answer; restart it, or see `stemstream doctor`"
        )
    return outcome[0]
