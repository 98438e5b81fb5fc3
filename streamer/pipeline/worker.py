"""The thread that owns the model."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

from streamer.audio import Samples
from streamer.errors import ModelError
from streamer.pipeline.windows import Window

QUEUE_WINDOWS = 1
"""How many windows may wait for each thread, or one batch: enough to keep it busy, few enough to
stay small."""
HUNG_WINDOWS = 64
HUNG_SECONDS = 5.0
"""A window is given up after this many seconds, if this many windows wait behind it: they take more
and more memory."""

CLOSE_SECONDS = 10.0

Separate = Callable[[Sequence[Window]], Sequence[Samples | None]]
"""Separates equally long windows in one go; returns the stems of each, in order."""
Clock = Callable[[], float]


@dataclass(slots=True, eq=False)
class WindowJob:
    """A window on its way through the model.

    ``stems`` is the result. It is None if the model failed (``error`` says why), if a newer window
    took this one's place (`dropped`), or if it was left out. The times are seconds of the worker's
    clock; 0: that moment has not come. ``together`` is how many windows were computed in one go.
    ``played_to`` is the frame up to which the output had come when the stems were ready for it;
    None: they are ready now. Before it the model took ``ahead_seconds`` for what later windows
    need, and ``caught_up_seconds`` for sound that it had missed. ``heard_from`` is the frame, at
    the devices' rate, that its stems go on from; None: the window's first.
    """

    window: Window
    separate: Separate
    queued_at: float = 0.0
    began_at: float = 0.0
    ended_at: float = 0.0
    together: int = 1
    stems: Samples | None = None
    error: Exception | None = None
    done: bool = False
    played_to: float | None = None
    ahead_seconds: float = 0.0
    caught_up_seconds: float = 0.0
    heard_from: int | None = None

    @property
    def compute_seconds(self) -> float:
        """Its share of the time that the model took."""
        return (self.ended_at - self.began_at) / self.together

    @property
    def dropped(self) -> bool:
        """Whether a newer window took its place."""
        return self.done and not self.began_at


def leave_out(windows: Sequence[Window]) -> Sequence[None]:
    """Separate nothing: the windows are gaps."""
    return [None] * len(windows)


class WindowWorker(Protocol):
    """Runs a model over windows and hands the results back in order."""

    def submit(self, window: Window, separate: Separate) -> None:
        """Take a window, and the function that separates it."""
        ...

    def finished(self, *, wait: bool = False) -> Iterator[WindowJob]:
        """Yield the windows that are done, oldest first; with ``wait``, all that were submitted."""
        ...

    def close(self) -> None:
        """Drop the windows that have not begun, and wait for the others."""
        ...


@dataclass(slots=True, eq=False)
class _Batch:
    """Windows that go through the model together; ``stems`` is set once they are submitted."""

    windows: list[Window] = field(default_factory=list)
    stems: Future[Sequence[Samples | None]] | None = None


class Worker:
    """The worker of a file: it loses nothing, and makes a fast caller wait.

    It has one thread, or ``jobs`` of them. Up to ``batch`` windows, equally long and with the same
    ``separate``, go through the model together. Their order alone decides which ones, not timing,
    so two runs are equal to the bit. Batches wait in a bounded queue. `submit` blocks while it is
    full: so a slow model holds back a fast file. With ``jobs=0`` there is no thread: `submit`
    computes each window in place. `finished` raises the model's errors, in order.
    """

    def __init__(self, jobs: int, batch: int = 1) -> None:
        self._pool = ThreadPoolExecutor(jobs, "stemstream-model") if jobs else None
        self._batch = batch if jobs else 1
        self._pending: deque[tuple[WindowJob, _Batch, int]] = deque()
        self._filling: dict[Separate, _Batch] = {}
        most_batches = jobs + math.ceil(jobs * QUEUE_WINDOWS / batch)
        self._queued: deque[Future[Sequence[Samples | None]]] = deque(maxlen=most_batches)

    def submit(self, window: Window, separate: Separate) -> None:
        """Queue a window; wait while the queue is full."""
        batch = self._filling.setdefault(separate, _Batch())
        if batch.windows and batch.windows[0].data.shape != window.data.shape:
            self._begin(separate)
            batch = self._filling[separate] = _Batch()
        self._pending.append((WindowJob(window, separate), batch, len(batch.windows)))
        batch.windows.append(window)
        if len(batch.windows) == self._batch:
            self._begin(separate)

    def _begin(self, separate: Separate) -> None:
        batch = self._filling.pop(separate)
        if self._pool is None:
            batch.stems = Future()
            try:
                batch.stems.set_result(separate(batch.windows))
            except Exception as error:  # `finished` raises it, as it raises the errors of threads
                batch.stems.set_exception(error)
            return
        self._forget_done()
        if len(self._queued) == self._queued.maxlen:
            self._queued[0].exception()
        batch.stems = self._pool.submit(separate, batch.windows)
        self._queued.append(batch.stems)

    def finished(self, *, wait: bool = False) -> Iterator[WindowJob]:
        """See `WindowWorker.finished`.

        Raises:
            ModelError: the model failed.
        """
        if wait:
            for separate in list(self._filling):
                self._begin(separate)
        while self._pending:
            _, batch, _ = self._pending[0]
            if batch.stems is None or not (wait or batch.stems.done()):
                return
            del batch  # who takes the job may let go of its stems
            yield self._take()

    def _take(self) -> WindowJob:
        job, batch, index = self._pending.popleft()
        assert batch.stems is not None
        job.stems, job.done = batch.stems.result()[index], True
        self._forget_done()
        return job

    def _forget_done(self) -> None:
        while self._queued and self._queued[0].done():
            self._queued.popleft()  # which would hold its stems

    def close(self) -> None:
        """See `WindowWorker.close`."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


class _Queue:
    """Jobs that wait for the thread of a `LiveWorker`, and all that this thread knows.

    The thread holds no reference to the worker. So a worker that nobody holds is collected, and
    its end closes this queue.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.jobs: deque[WindowJob] = deque()
        self.closed = False
        self.changed = threading.Condition()

    def close(self) -> None:
        """End the thread after its present window."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def run(self) -> None:
        """Compute the waiting windows until it is closed: the body of the thread."""
        while True:
            with self.changed:
                while not self.jobs and not self.closed:
                    self.changed.wait()
                if self.closed:
                    return
                jobs = [self.jobs.popleft()]
                while self.jobs and self.jobs[0].separate == jobs[0].separate:
                    jobs.append(self.jobs.popleft())
            compute(jobs, self.clock)
            with self.changed:
                for job in jobs:
                    job.done = True
                self.changed.notify_all()


class LiveWorker:
    """The worker of a live run: `submit` never waits, and a failed window is a value.

    While it computes, up to ``waiting`` windows may wait. Waiting windows with the same
    ``separate`` are then separated together. If the queue is full, a newer window takes the place
    of the oldest: the newer one can still be in time, the oldest hardly. If a model hangs, its
    window fails, and the others wait no longer (`HUNG_WINDOWS`). A worker that nobody holds closes.
    """

    def __init__(self, waiting: int = 1, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._pending: deque[WindowJob] = deque()
        self._most_waiting = waiting
        self._queue = _Queue(clock)
        self._thread = threading.Thread(
            target=self._queue.run, name="stemstream-model", daemon=True
        )
        self._thread.start()
        weakref.finalize(self, self._queue.close)

    def submit(self, window: Window, separate: Separate) -> None:
        """Queue a window; it is dropped if a newer one comes before its turn."""
        job = WindowJob(window, separate, queued_at=self._clock())
        queue = self._queue
        with queue.changed:
            if len(queue.jobs) == self._most_waiting:
                queue.jobs.popleft().done = True
            queue.jobs.append(job)
            self._pending.append(job)
            if len(self._pending) > HUNG_WINDOWS:
                self._give_up()
            queue.changed.notify_all()

    def _give_up(self) -> None:
        """Let the oldest window fail if the model hangs at it.

        The thread may still write to its job, so a copy takes its place.
        """
        oldest = self._pending[0]
        if not oldest.done and self._clock() - oldest.queued_at > HUNG_SECONDS:
            error = ModelError("the model hangs; try another model, or another --device")
            self._pending[0] = replace(
                oldest, stems=None, error=error, ended_at=self._clock(), done=True
            )

    def finished(self, *, wait: bool = False) -> Iterator[WindowJob]:
        """See `WindowWorker.finished`; nothing is raised."""
        while self._pending:
            with self._queue.changed:
                while wait and not self._pending[0].done:
                    self._queue.changed.wait()
            if not self._pending[0].done:
                return
            yield self._pending.popleft()

    def close(self) -> None:
        """See `WindowWorker.close`."""
        self._queue.close()
        self._thread.join(CLOSE_SECONDS)  # a model that hangs does not keep the run from ending


def compute(jobs: Sequence[WindowJob], clock: Clock) -> None:
    """Compute equally long windows in one go; an error becomes a value of the jobs."""
    began_at = clock()
    for job in jobs:
        job.began_at, job.together = began_at, len(jobs)
    try:
        for job, stems in zip(jobs, jobs[0].separate([job.window for job in jobs]), strict=True):
            job.stems = stems
    except Exception as error:  # a live run goes on, whatever a model does
        for job in jobs:
            job.error = error
    ended_at = clock()
    for job in jobs:
        job.ended_at = ended_at
