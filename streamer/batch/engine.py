"""Who separates the songs of a job: what an engine takes, what it tells, and what each worker does.

A worker has the model, loaded once. It is given a `Task`, and what becomes of it is an `Outcome`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from streamer.batch.at_hand import at_hand
from streamer.batch.scratch import remove_stale
from streamer.engine import Progress, TrackReport, separate_track
from streamer.errors import ModelError, StemstreamError
from streamer.naming import spelled_out
from streamer.pipeline.passes import Plan
from streamer.processor import load_bag
from streamer.settings import Settings

WORKER_BYTES: Final = 2e9
"""What a worker takes of memory, roughly: torch, a model and a window."""


@dataclass(frozen=True, slots=True)
class Task:
    """A song to separate, and the folder for its stems: paths, or addresses of stores.

    ``replace``: its outputs may be there, and are this job's own.
    """

    source: str
    out: str
    replace: bool = False

    def spelled_out(self) -> Task:
        """Return the same for one who works in another folder."""
        return Task(spelled_out(self.source), spelled_out(self.out), self.replace)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task.

    With an ``error`` it left no file in a folder; in a store, those that were whole may stay.
    ``lost``: its worker ended in the middle of it, so it says nothing of the song.
    """

    task: Task
    seconds: float = 0.0
    elapsed_seconds: float = 0.0
    notes: tuple[str, ...] = ()
    error: str = ""
    exit_code: int = 0
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What the model makes: the name of its folder, and the stems.

    ``note`` tells how it was chosen.
    """

    model: str
    stems: tuple[str, ...]
    note: str = field(default="", compare=False)


def other_model(made: Made, first: Made) -> ModelError | None:
    """Return the error for a worker whose model is not that of the first one; None if it is.

    Each resolves ``auto`` by itself, and what it writes must be where the job looks for it.
    """
    if made == first:
        return None
    return ModelError(
        f"a worker has {made.model} where the others have {first.model}; fetch the weights on each "
        f"machine (`stemstream models download {first.model}`), or name the model with -n"
    )


class Engine(Protocol):
    """Separates songs, several at a time."""

    @property
    def workers(self) -> int:
        """How many songs it has in hand at a time."""

    def start(self) -> Made:
        """Have the workers load the model; return what it makes.

        Raises:
            StemstreamError: the model cannot be had, or there are no workers.
        """
        ...

    def run(self, next_task: Callable[[], Task | None]) -> Iterator[Outcome]:
        """Yield what becomes of each task, as soon as it is known.

        It asks for a task when a worker is free; None: there is none now. It ends when no worker
        has one. Between two outcomes a task may be asked for again.
        """
        ...

    def close(self) -> None:
        """End the workers; what is half written goes. Twice is fine."""


class Worker:
    """Separates one song after another, with a model that is loaded once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        remove_stale()
        self._bag = load_bag(settings)
        names = Plan.make(self._bag, settings).derivation.names
        self.made = Made(self._bag.name, tuple(names), self._bag.note or "")

    def do(self, task: Task, stopped: Callable[[], bool] = lambda: False) -> Outcome:
        """Separate a song; whatever it does, its outcome is returned.

        Once it is ``stopped`` it goes no further than the window that it is at.
        """

        def progress(_done: float, _whole: float | None) -> None:
            if stopped():
                raise StemstreamError("stopped")

        try:
            report = self._separate(task, progress)
        except StemstreamError as error:
            return Outcome(task, error=str(error), exit_code=error.exit_code)
        except Exception as error:  # one bad song must not end the others
            told = f"this should not happen: {type(error).__name__}: {error}; please report it"
            return Outcome(task, error=told, exit_code=StemstreamError.exit_code)
        return Outcome(task, report.seconds, report.elapsed_seconds, tuple(report.notes))

    def _separate(self, task: Task, progress: Progress) -> TrackReport:
        with at_hand(task.source, task.out, replace=task.replace) as (source, out):
            # a job knows by itself what is to be done again
            own = {"out": out, "overwrite": task.replace, "resume": False}
            settings = self._settings.model_copy(update=own)
            return separate_track(source, settings, self._bag, progress=progress)
