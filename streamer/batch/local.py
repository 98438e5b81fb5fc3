"""The engine of one machine: a process a worker.

A process that ends, however it ends, takes only its song with it, and another takes its place.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final

from streamer.batch.engine import WORKER_BYTES, Made, Outcome, Task, Worker, other_model
from streamer.cache import processors
from streamer.children import deaf, end_with_parent
from streamer.errors import ModelError, StemstreamError
from streamer.models.devices import kind_of
from streamer.settings import Settings

PATIENCE_SECONDS: Final = 60.0
"""How long a worker may take to end the window that it is at, before it is killed."""

_SPAWN: Final = multiprocessing.get_context("spawn")  # a fork would share the model's threads


def workers_here(settings: Settings, songs: int) -> int:
    """Return how many songs at a time suit this machine: a processor each, and memory for each.

    On a GPU it is one: its memory holds one model and as many windows as fit.
    """
    if not settings.device.startswith(("auto", "cpu")) or kind_of(settings.device) != "cpu":
        return 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(processors(), int(memory / WORKER_BYTES), songs))


def share_processors(settings: Settings, workers: int) -> Settings:
    """Return the settings of one worker: its share of the processors, unless they were given."""
    if settings.torch_num_threads is not None:
        return settings
    threads = max(1, processors() // workers)
    return settings.model_copy(update={"torch_num_threads": threads, "jobs": settings.jobs or 1})


class LocalEngine:
    """``workers`` processes on this machine. See `Engine`."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self.workers = workers
        self._settings = settings
        self._processes: list[_Process] = []
        self._made: Made | None = None

    def start(self) -> Made:
        """See `Engine.start`."""
        for _ in range(self.workers):
            self._processes.append(_Process(self._settings))  # `close` ends those that there are
        self._made, *others = (process.made() for process in self._processes)
        for made in others:
            if wrong := other_model(made, self._made):
                raise wrong
        return self._made

    def run(self, next_task: Callable[[], Task | None]) -> Iterator[Outcome]:
        """See `Engine.run`."""
        while True:
            for process in self._processes:
                if process.task is None and (task := next_task()) is not None:
                    process.give(task)
            busy = {one.answers: one for one in self._processes if one.task is not None}
            if not busy:
                return
            ready = wait(list(busy))
            for process in [one for answers, one in busy.items() if answers in ready]:
                outcome = process.outcome()
                if outcome.lost:
                    process.close()
                    another = _Process(self._settings, self._made)
                    self._processes[self._processes.index(process)] = another
                yield outcome

    def close(self) -> None:
        """See `Engine.close`."""
        for process in self._processes:
            process.ask_to_end()
        for process in self._processes:
            process.close()
        self._processes = []


class _Process:
    """A worker's process, and the task that it has; ``first`` is what the others make."""

    def __init__(self, settings: Settings, first: Made | None = None) -> None:
        self._first = first
        self.answers, other = _SPAWN.Pipe()
        self.task: Task | None = None
        self._made: Made | None = None
        self._process: SpawnProcess = _SPAWN.Process(target=_work, args=(other, settings))
        with deaf():  # Ctrl-C reaches all, also one that still imports what it needs
            self._process.start()
        other.close()  # now only the worker has it: when that ends, ours tells

    def made(self) -> Made:
        """Wait until the model is loaded; return what it makes.

        Raises:
            StemstreamError: it cannot be had.
        """
        if self._made is None:
            try:
                told = self.answers.recv()
            except (EOFError, OSError):
                raise ModelError(f"a worker {self._ending()}") from None
            if isinstance(told, StemstreamError):
                raise told
            self._made = told
        return self._made

    def give(self, task: Task) -> None:
        """Have it separate a song."""
        self.task = task
        with contextlib.suppress(OSError):  # it has ended; `outcome` tells
            self.answers.send(task)

    def outcome(self) -> Outcome:
        """Return what became of the task; waits for it."""
        task, self.task = self.task, None
        assert task is not None
        try:
            told = self.answers.recv()
            while not isinstance(told, Outcome):  # of one that began in place of a lost one
                if isinstance(told, Made) and self._first is not None:
                    told = other_model(told, self._first)
                if isinstance(told, StemstreamError):
                    return Outcome(task, error=str(told), exit_code=told.exit_code)
                told = self.answers.recv()
        except (EOFError, OSError):
            return Outcome(task, error=f"its worker {self._ending()}", exit_code=1, lost=True)
        return told

    def _ending(self) -> str:
        self._process.join(PATIENCE_SECONDS)
        code = self._process.exitcode or 0
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        return f"process ended {how}; if memory was short, try fewer --workers"

    def ask_to_end(self) -> None:
        """Have it end: after its window if it has a task, at once if it waits for one."""
        self._process.terminate()
        with contextlib.suppress(OSError):
            self.answers.send(None)

    def close(self) -> None:
        """End the process, and wait until it has cleaned up."""
        self.ask_to_end()
        self._process.join(PATIENCE_SECONDS)
        self._process.kill()
        self._process.join()
        self.answers.close()


def _work(answers: Connection[Any, Any], settings: Settings) -> None:
    """Be a worker, until nobody asks any more."""
    asked: list[int] = []  # no event: a second signal while it is set would wait for the first
    # no exception at just any moment: one between a file's opening and its `with` would leave it
    signal.signal(signal.SIGTERM, lambda signum, _frame: asked.append(signum))
    end_with_parent()  # at once, so that the next run finds no song locked
    if asked:  # while it began
        return
    try:
        worker = Worker(settings)
    except StemstreamError as error:
        answers.send(error)
        return
    with contextlib.suppress(EOFError, OSError):  # nobody asks any more
        answers.send(worker.made)
        while not asked and (task := answers.recv()) is not None:
            answers.send(worker.do(task, lambda: bool(asked)))
