"""The engine of many machines: Ray starts the workers, places them and brings lost ones back.

Every machine needs stemstream and must reach the songs and the folder for the stems under the same
paths: then no audio goes through Ray, only a `Task` and an `Outcome` for each song.

Source: https://docs.ray.io/en/latest/ray-core/actors/fault-tolerance.html
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from streamer import __version__
from streamer.batch.engine import Made, Outcome, Task, Worker, other_model
from streamer.batch.ray_nodes import look_at, refuse_other_version, share
from streamer.errors import ModelError, SettingsError, StemstreamError
from streamer.models.weights.places import CHECKPOINTS
from streamer.settings import Settings

REACH_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 10.0
"""How long workers may take to clean up before they are killed."""
MOST_STARTS: Final = 3
"""How often a worker is begun that cannot join, as on a machine without the model."""


class RayEngine:
    """Workers on a Ray cluster. See `Engine`.

    Args:
        settings: how they separate.
        workers: how many; None: one a GPU, or as many as the cluster's processors allow.
        address: the cluster's; None starts one on this machine.
    """

    def __init__(self, settings: Settings, workers: int | None, address: str | None) -> None:
        self.workers = workers or 0
        self._settings, self._address = _spelled_out(settings), address
        self._ray: Any = load_ray()
        self._actor: Any = None
        self._threads = 1
        self._slots: list[_Slot] = []

    def start(self) -> Made:
        """See `Engine.start`."""
        ray = self._ray
        _refuse_unreachable(self._address)
        try:
            ray.init(
                self._address,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise SettingsError(
                f"there is no Ray cluster at {self._address} ({reason}); leave out --address to "
                "start one here"
            ) from None
        each = share(look_at(ray, self._settings.device), self._settings, self.workers or None)
        self.workers, self._threads = each.workers, each.cpus
        if each.gpus and self._settings.device == "auto":
            # a machine that comes later and misses its GPU must not fall back on its processor
            self._settings = self._settings.model_copy(update={"device": "cuda"})
        self._actor = ray.remote(
            num_cpus=each.cpus,
            num_gpus=each.gpus,
            memory=each.bytes,
            max_restarts=-1,
            # a second thread, so that a worker that separates can be told to stop
            max_concurrency=2,
        )(_Actor)
        self._slots = [self._begin(_Slot()) for _ in range(self.workers)]
        first, _ = ray.wait([slot.pending for slot in self._slots])
        try:
            told = ray.get(first[0])
        except ray.exceptions.RayError as error:
            raise ModelError(f"no worker of the cluster starts ({_reason(error)})") from None
        if isinstance(told, StemstreamError):
            raise told
        made: Made = told
        self._made = made
        return made

    def _begin(self, slot: _Slot) -> _Slot:
        """Have a worker start, which joins when it has loaded the model."""
        slot.actor = self._actor.remote(self._settings, self._threads, __version__)
        slot.pending = slot.actor.made.remote()
        return slot

    def run(self, next_task: Callable[[], Task | None]) -> Iterator[Outcome]:
        """See `Engine.run`."""
        while True:
            for slot in self._slots:
                if slot.pending is None and (task := next_task()) is not None:
                    slot.task, slot.pending = task, slot.actor.do.remote(task.spelled_out())
            free = any(slot.pending is None for slot in self._slots)
            if free and not any(slot.task for slot in self._slots):
                return  # there is nothing to do
            pending = {slot.pending: slot for slot in self._slots if slot.pending is not None}
            ready, _ = self._ray.wait(list(pending))
            for slot in [pending[one] for one in ready]:
                outcome = self._outcome(slot)
                if outcome is not None:
                    yield outcome

    def _outcome(self, slot: _Slot) -> Outcome | None:
        """Return what became of a worker's task; None where it has only joined."""
        pending, slot.pending = slot.pending, None
        task, slot.task = slot.task, None
        try:
            told = self._ray.get(pending)
        except self._ray.exceptions.RayError as error:
            if task is None:
                self._begin_again(slot, ModelError(f"no worker can join ({_reason(error)})"))
                return None
            # Ray starts it again, here or elsewhere, as soon as there is room: it joins then
            slot.pending = slot.actor.made.remote()
            lost = f"its worker was lost: {_reason(error)}"
            return Outcome(task, error=lost, exit_code=1, lost=True)
        if isinstance(told, Made):
            told = other_model(told, self._made)
        if task is None and isinstance(told, StemstreamError):
            self._begin_again(slot, told)
        slot.failures = 0 if task is not None else slot.failures
        return replace(told, task=task) if task is not None else None

    def _begin_again(self, slot: _Slot, error: StemstreamError) -> None:
        """Have another worker take the place of one that could not join.

        Raises:
            StemstreamError: the last place has been tried too often.
        """
        slot.failures += 1
        if slot.failures < MOST_STARTS:
            self._begin(slot)
            return
        self._slots.remove(slot)
        if not self._slots:
            raise error

    def close(self) -> None:
        """See `Engine.close`."""
        if not self._ray.is_initialized():
            return
        busy = [slot.pending for slot in self._slots if slot.task is not None]
        with contextlib.suppress(self._ray.exceptions.RayError):
            for slot in self._slots:
                slot.actor.stop.remote()
            if busy:
                self._ray.wait(busy, num_returns=len(busy), timeout=PATIENCE_SECONDS)
        self._slots = []
        self._ray.shutdown()


@dataclass(eq=False)
class _Slot:
    """A worker's place: who has it, what it is asked, and the task in that, if it is one.

    ``failures`` are those who could not join, one after the other.
    """

    actor: Any = None
    pending: Any = None
    task: Task | None = None
    failures: int = 0


class _Actor:
    """A `Worker` in a process of Ray's, on a machine that may have come after the job began.

    ``threads`` are the processors that it was given, ``version`` is who gives the tasks.
    """

    def __init__(self, settings: Settings, threads: int, version: str) -> None:
        threads = settings.torch_num_threads or threads
        self._stopped = False
        self._failure: StemstreamError | None = None
        try:
            refuse_other_version(socket.gethostname(), here=version, there=__version__)
            self._worker = Worker(settings.model_copy(update={"torch_num_threads": threads}))
        except StemstreamError as error:
            self._failure = error

    def made(self) -> Made | StemstreamError:
        return self._failure or self._worker.made

    def do(self, task: Task) -> Outcome:
        if self._failure is not None:  # Ray has started it again where it cannot work
            raise self._failure
        return self._worker.do(task, lambda: self._stopped)

    def stop(self) -> None:
        self._stopped = True


def _spelled_out(settings: Settings) -> Settings:
    """Return settings for workers that are in another folder."""
    changes: dict[str, object] = {}
    model, repo = Path(settings.model), settings.repo
    if repo is not None and repo.parts[:1] != ("~",):  # that each has of its own
        changes["repo"] = repo.absolute()
    if model.suffix in CHECKPOINTS and model.is_file():
        changes["model"] = str(model.absolute())
    return settings.model_copy(update=changes)


def _reason(error: Exception) -> str:
    return str(getattr(error, "cause", None) or error).splitlines()[0]


def _refuse_unreachable(address: str | None) -> None:
    """Refuse a cluster that is not there; Ray itself would try for many minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"address={address} is no Ray cluster that answers ({error}); start one with "
            "`ray start --head`, or leave out --address to start one here"
        ) from None


def load_ray() -> Any:
    """Import and return the module ``ray``.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise SettingsError(
            "--engine ray needs Ray, which is not installed; pip install 'stemstream[ray]'"
        ) from None
