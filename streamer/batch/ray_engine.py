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
from dataclasses import dataclass
from typing import Any, Final

from streamer.batch.engine import Made, Outcome, Task, Worker
from streamer.errors import ModelError, SettingsError, StemstreamError
from streamer.settings import Settings

CPUS_A_WORKER: Final = 2
"""A worker without a GPU takes this many processors; on a smaller machine what there is."""
REACH_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 10.0
"""How long workers may take to clean up before they are killed."""


class RayEngine:
    """Workers on a Ray cluster. See `Engine`.

    Args:
        settings: how they separate.
        workers: how many; None: one a GPU, or as many as the cluster's processors allow.
        address: the cluster's; None starts one on this machine.
    """

    def __init__(self, settings: Settings, workers: int | None, address: str | None) -> None:
        self.workers = workers or 0
        self._settings, self._address = settings, address
        self._ray: Any = load_ray()
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
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = sum(int(node.get("GPU", 0)) for node in nodes)
        gpu = gpus > 0 and not self._settings.device.startswith("cpu")
        # an actor lies on one node
        cpus = [int(node.get("CPU", 0)) for node in nodes]
        share = max(1, min(CPUS_A_WORKER, max(cpus)))
        self.workers = self.workers or gpus * gpu or sum(one // share for one in cpus) or 1
        # a second thread, so that a worker that separates can be told to stop
        options = {
            "num_cpus": share,
            "num_gpus": int(gpu),
            "max_restarts": -1,
            "max_concurrency": 2,
        }
        actor = ray.remote(**options)(_Actor)
        self._slots = [_Slot(actor.remote(self._settings, share)) for _ in range(self.workers)]
        for slot in self._slots:
            slot.pending = slot.actor.made.remote()
        first, _ = ray.wait([slot.pending for slot in self._slots])
        try:
            told = ray.get(first[0])
        except ray.exceptions.RayError as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"no worker of the cluster starts ({reason})") from None
        if isinstance(told, StemstreamError):
            raise told
        made: Made = told
        return made

    def run(self, next_task: Callable[[], Task | None]) -> Iterator[Outcome]:
        """See `Engine.run`."""
        while True:
            for slot in self._slots:
                if slot.pending is None and (task := next_task()) is not None:
                    slot.task, slot.pending = task, slot.actor.do.remote(task)
            if not any(slot.task for slot in self._slots):
                joining = [slot.pending for slot in self._slots if slot.pending is not None]
                if len(joining) < len(self._slots):
                    return  # one is free, and there is nothing to do
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
            # Ray starts it again, here or elsewhere, as soon as there is room: it joins then
            slot.pending = slot.actor.made.remote()
            reason = str(error).splitlines()[0]
            if task is None:
                return None
            return Outcome(task, error=f"its worker was lost: {reason}", exit_code=1, lost=True)
        return told if task is not None else None

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
    """A worker, what it is asked, and the task in that, if it is one."""

    actor: Any
    pending: Any = None
    task: Task | None = None


class _Actor:
    """A `Worker` in a process of Ray's. ``threads`` are the processors that it was given."""

    def __init__(self, settings: Settings, threads: int) -> None:
        threads = settings.torch_num_threads or threads
        self._stopped = False
        self._failure: StemstreamError | None = None
        try:
            self._worker = Worker(settings.model_copy(update={"torch_num_threads": threads}))
        except StemstreamError as error:
            self._failure = error

    def made(self) -> Made | StemstreamError:
        return self._failure or self._worker.made

    def do(self, task: Task) -> Outcome:
        if self._failure is not None:
            return Outcome(task, error=str(self._failure), exit_code=self._failure.exit_code)
        return self._worker.do(task, lambda: self._stopped)

    def stop(self) -> None:
        self._stopped = True


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
