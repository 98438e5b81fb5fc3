"""The state of a run, saved so that a resumed run goes on as if it had never stopped.

The random numbers of a step depend on its number alone (`seed_step`); so do those of the examples.
So no state of a generator needs saving.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch.optim.swa_utils import AveragedModel

from streamer.errors import WeightsError
from streamer.files.part import sink_errors
from streamer.models.networks.checkpoint import Network
from streamer.train.settings import TrainSettings

Tensors: TypeAlias = tuple[torch.Tensor, ...] | list[torch.Tensor]

_FINAL = 0.01  # of the learning rate, where the cosine ends


@dataclass
class Progress:
    """How far a run is.

    ``loss_sum`` is of the steps since the last epoch ended, ``best_sdr`` in dB, ``stale`` counts
    epochs since then, ``history`` has the results of each epoch. ``epoch_steps`` is how long one
    is, and ``judges`` are the songs to judge by (0 and none: not known, of an earlier version).
    """

    step: int = 0
    epoch: int = 0
    loss_sum: float = 0.0
    best_sdr: float = -math.inf
    best_epoch: int | None = None
    stale: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    epoch_steps: int = 0
    judges: list[str] = field(default_factory=list)


@dataclass
class State:
    """A network in training, with all that changes with it."""

    network: Network
    optimizer: torch.optim.AdamW
    schedule: torch.optim.lr_scheduler.LambdaLR
    average: AveragedModel
    progress: Progress = field(default_factory=Progress)


def make_state(network: Network, settings: TrainSettings, steps: int) -> State:
    """Return the state before the first step, for this number of steps."""
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_at(step, settings.warmup, steps)
    )
    average = _average(network, settings.ema, from_scratch=settings.from_scratch)
    return State(network, optimizer, schedule, average)


def learning_rate_at(step: int, warmup: int, steps: int) -> float:
    """Return the learning rate of a step, as a share of the highest: a rise, then a cosine."""
    warmup = min(warmup, steps // 2)
    if step < warmup:
        return (step + 1) / warmup
    done = min((step - warmup) / max(steps - warmup, 1), 1.0)
    return _FINAL + (1 - _FINAL) * 0.5 * (1 + math.cos(math.pi * done))


def _average(network: Network, decay: float, *, from_scratch: bool) -> AveragedModel:
    """Return the moving average of a network's weights, which begins with those that it has."""

    def average(means: Tensors, new: Tensors, steps: torch.Tensor | int) -> None:
        # random weights would stay in the mean for long: early on it is over few steps
        few = (1 + int(steps)) / (10 + int(steps)) if from_scratch else 1.0
        torch._foreach_lerp_(means, new, 1 - min(decay, few))

    averaged = AveragedModel(network, multi_avg_fn=average)
    averaged.n_averaged.fill_(1)  # at 0 the first step would take the place of what it begins with
    averaged.requires_grad_(False)
    return averaged.eval()


def seed_step(seed: int, step: int, rank: int) -> None:
    """Set all random numbers that a network may draw in a step."""
    one, two, three = np.random.SeedSequence([seed, step, rank]).generate_state(3)
    torch.manual_seed(int(one))
    random.seed(int(two))
    np.random.seed(int(three))


def save_state(path: Path, state: State, settings: TrainSettings) -> None:
    """Write a state. There is always a whole one under the name.

    Raises:
        SinkError: it cannot be written.
    """
    optimizer = state.optimizer.state_dict()
    tensors = {
        **{f"network.{name}": one for name, one in state.network.state_dict().items()},
        **{f"average.{name}": one for name, one in state.average.state_dict().items()},
        **{
            f"optimizer.{number}.{name}": one
            for number, values in optimizer["state"].items()
            for name, one in values.items()
        },
    }
    metadata = {
        "progress": json.dumps(asdict(state.progress)),
        "schedule": json.dumps(state.schedule.state_dict()),
        "groups": json.dumps(optimizer["param_groups"]),
        "settings": json.dumps(settings.model_dump(mode="json")),
    }
    # tensors that share memory are refused
    apart = {name: one.detach().clone().contiguous() for name, one in tensors.items()}
    with sink_errors(path):
        part = path.with_suffix(".part")
        part.write_bytes(save(apart, metadata))
        part.replace(path)


def load_state(path: Path, state: State) -> None:
    """Load a state that `save_state` wrote.

    Raises:
        WeightsError: the file is damaged, or from another network.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state.network.load_state_dict(_below("network.", tensors))
        state.average.load_state_dict(_below("average.", tensors))
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in _below("optimizer.", tensors).items():
            number, _, what = name.partition(".")
            moments.setdefault(int(number), {})[what] = tensor
        groups = json.loads(metadata["groups"])
        state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        state.schedule.load_state_dict(json.loads(metadata["schedule"]))
        state.progress = Progress(**json.loads(metadata["progress"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".:")[:200]
        raise WeightsError(
            f"{path} cannot be gone on with ({reason}); give --overwrite to start over"
        ) from None


def saved_settings(path: Path) -> Mapping[str, Any]:
    """Return the settings of the run that wrote a state.

    Raises:
        WeightsError: the file is damaged.
    """
    return _saved(path, "settings")


def saved_progress(path: Path) -> Progress:
    """Return how far the run was that wrote a state.

    Raises:
        WeightsError: the file is damaged.
    """
    try:
        return Progress(**_saved(path, "progress"))
    except TypeError as error:
        raise _damaged(path, error) from None


def _saved(path: Path, part: str) -> dict[str, Any]:
    try:
        with safe_open(str(path), framework="pt") as file:
            found: dict[str, Any] = json.loads(file.metadata()[part])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from None
    return found


def _damaged(path: Path, error: Exception) -> WeightsError:
    return WeightsError(f"{path} is damaged ({error}); give --overwrite to start over")


def _below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)
    }
