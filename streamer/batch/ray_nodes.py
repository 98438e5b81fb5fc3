"""What the machines of a Ray cluster have, and what each worker is to have of it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from streamer import __version__
from streamer.batch.engine import WORKER_BYTES
from streamer.errors import ModelError
from streamer.settings import Settings

CPUS_A_WORKER: Final = 2
"""A worker without a GPU takes this many processors; on a smaller machine what there is."""
_SOME: Final = 0.01
"""So much of a GPU is asked for to be shown it: Ray hides all from who asks for none."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster: its address, and what Ray may give away of it."""

    address: str
    cpus: int
    gpus: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Share:
    """How many workers there are to be, and what each takes of its machine."""

    workers: int
    cpus: int
    gpus: int
    bytes: int


def look_at(ray: Any, device: str) -> list[Node]:
    """Return the machines that can have workers on such a device, after a look at each.

    Raises:
        ModelError: on one of them stemstream is missing or another, or torch finds no GPU.
    """
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    found, looks = [], []
    for node in ray.nodes():
        has = node["Resources"] if node["Alive"] else {}
        cpus, gpus = int(has.get("CPU", 0)), int(has.get("GPU", 0))
        gpus = 0 if device.startswith("cpu") else gpus
        if cpus or gpus:
            found.append(Node(node["NodeManagerAddress"], cpus, gpus, int(has.get("memory", 0))))
            there = strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            options = {"num_cpus": 0, "num_gpus": _SOME * (gpus > 0), "max_retries": 0}
            look = ray.remote(scheduling_strategy=there, **options)(_look_around)
            looks.append(look.remote(gpus > 0))
    for node, look in zip(found, looks, strict=True):
        try:
            refuse_other(node, *ray.get(look))
        except ray.exceptions.RayError as error:
            reason = str(error).splitlines()[-1]
            raise ModelError(
                f"the machine {node.address} cannot have workers ({reason}); install stemstream "
                f"{__version__} there, and see what `stemstream doctor` says"
            ) from None
    return found


def _look_around(on_gpu: bool) -> tuple[str, bool]:
    """Return this machine's version of stemstream, and whether torch has a GPU here.

    Without ``on_gpu`` nobody wants one, and torch is not asked.
    """
    if not on_gpu:
        return __version__, False
    from streamer.models.devices import present

    return __version__, "cuda" in present()


def refuse_other(node: Node, version: str, has_gpu: bool) -> None:
    """Refuse a machine on which stems would be others, or workers would fail.

    Raises:
        ModelError: it is one.
    """
    refuse_other_version(node.address, here=__version__, there=version)
    if node.gpus and not has_gpu:
        raise ModelError(
            f"the machine {node.address} has a GPU that torch does not find; see what "
            "`stemstream doctor` says there, or give --device cpu"
        )


def refuse_other_version(machine: str, *, here: str, there: str) -> None:
    """Refuse a machine with another stemstream than that of the command.

    Raises:
        ModelError: it has another.
    """
    if there != here:
        raise ModelError(
            f"the machine {machine} has stemstream {there}, and the one with the command {here}; "
            "install the same on all"
        )


def share(nodes: Sequence[Node], settings: Settings, workers: int | None) -> Share:
    """Return what each worker takes, and how many there are if nobody said.

    Where there are GPUs all work is done on these: the stems of a processor differ in their last
    bits. A cluster that is still empty gets what its machines will have, if it grows on demand.
    """
    gpus = sum(node.gpus for node in nodes)
    on_gpu = settings.device.startswith("cuda") or (gpus > 0 and settings.device == "auto")
    able = [node for node in nodes if node.gpus] if on_gpu else list(nodes)
    cpus = max(1, min(CPUS_A_WORKER, max((node.cpus for node in able), default=CPUS_A_WORKER)))
    most = int(min([WORKER_BYTES, *(node.bytes for node in able if node.bytes)]))
    if workers is None:
        room = (
            min(node.cpus // cpus, node.bytes // most if node.bytes else node.cpus) for node in able
        )
        workers = gpus if on_gpu else sum(room)
    return Share(workers or 1, cpus, int(on_gpu), most)
