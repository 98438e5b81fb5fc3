"""The thread that owns the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from streamer.audio import Samples
from streamer.windows import Window

QUEUE_WINDOWS = 2
"""How many windows may wait for each thread: enough to keep it busy, few enough to stay small."""

Separate = Callable[[Window], Samples]


class Worker:
    """Runs a model over windows in the background and hands the results back in order.

    One thread, or ``jobs`` of them. Windows wait in a bounded queue: `submit` blocks while it is
    full, which is how a slow model holds back a fast file. With ``jobs=0`` there is no thread and
    `submit` computes in place. What the model raises is raised by `finished`, in order.
    """

    def __init__(self, separate: Separate, jobs: int) -> None:
        self._separate = separate
        self._pool = ThreadPoolExecutor(jobs, "stemstream-model") if jobs else None
        self._limit = jobs * (1 + QUEUE_WINDOWS)
        self._pending: deque[tuple[Window, Future[Samples]]] = deque()

    def submit(self, window: Window) -> None:
        """Queue a window; wait while the queue is full."""
        future: Future[Samples]
        if self._pool is None:
            future = Future()
            future.set_result(self._separate(window))
        else:
            if len(self._pending) >= self._limit:
                self._pending[-self._limit][1].exception()
            future = self._pool.submit(self._separate, window)
        self._pending.append((window, future))

    def finished(self, *, wait: bool = False) -> Iterator[tuple[Window, Samples]]:
        """Yield the windows that are done, oldest first; with ``wait``, all that were submitted."""
        while self._pending and (wait or self._pending[0][1].done()):
            window, future = self._pending.popleft()
            yield window, future.result()

    def close(self) -> None:
        """Drop what has not begun and wait for what has."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
