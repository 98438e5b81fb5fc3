"""The weights of a run's best epochs, and their mean.

The mean of several epochs' weights is often better than each of them, and costs nothing where the
network is used (Izmailov et al., "Averaging weights leads to wider optima and better
generalization", 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from streamer.errors import WeightsError
from streamer.files.part import sink_errors
from streamer.train.export import State
from streamer.train.journal import Row

FOLDER: Final = "epochs"
LEAST: Final = 2


def read_weights(path: Path) -> State:
    """Return weights that a run has written.

    Raises:
        WeightsError: the file is damaged or gone.
    """
    try:
        weights: State = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} cannot be read ({error}); put it back, or try --overwrite for a new run"
        ) from None
    return weights


class BestEpochs:
    """The weights of the best epochs, a file each, in a folder of a run.

    Args:
        out: the folder of the run.
        most: how many epochs are kept; under 2: none.
    """

    def __init__(self, out: Path, most: int) -> None:
        self._folder = out / FOLDER
        self._most = most

    def keep(self, history: Sequence[Row], state: State) -> None:
        """Keep the weights of the last epoch, if it is one of the best.

        Raises:
            SinkError: they cannot be written.
        """
        if self._most < LEAST:
            return
        path = self._path(int(history[-1]["epoch"]))
        with sink_errors(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            if path in self.files(history):
                part = path.with_suffix(".part")
                part.write_bytes(save(state))
                part.replace(path)

    def forget(self, history: Sequence[Row]) -> None:
        """Remove what is worse, also of a run that this one replaces: once its state is saved.

        A run that is stopped before that goes on from the state that there was.

        Raises:
            SinkError: it cannot be removed.
        """
        if self._most < LEAST:
            return
        best = self.files(history)
        with sink_errors(self._folder):
            for file in self._folder.glob("*.safetensors"):
                if file not in best:
                    file.unlink()

    def files(self, history: Sequence[Row]) -> list[Path]:
        """Return the files of the epochs that are kept."""
        return [self._path(epoch) for epoch in self._best(history)] if self._most >= LEAST else []

    def averaged(self, history: Sequence[Row]) -> tuple[int, ...]:
        """Return the epochs that the mean is of; empty where there is no mean."""
        best = self._best(history)
        return best if len(best) >= LEAST else ()

    def mean(self, history: Sequence[Row]) -> State:
        """Return the mean of the weights of these epochs.

        Raises:
            WeightsError: see `weights`.
        """
        states = [self.weights(epoch) for epoch in self.averaged(history)]
        return {
            name: torch.stack([state[name].double() for state in states]).mean(0).to(first.dtype)
            for name, first in states[0].items()
        }

    def weights(self, epoch: int) -> State:
        """Return the weights of an epoch that is kept.

        Raises:
            WeightsError: see `read_weights`.
        """
        return read_weights(self._path(epoch))

    def _best(self, history: Sequence[Row]) -> tuple[int, ...]:
        """Return the epochs that are kept, in their order."""
        ranked = sorted(history, key=lambda row: row["sdr"], reverse=True)
        return tuple(sorted(int(row["epoch"]) for row in ranked[: self._most]))

    def _path(self, epoch: int) -> Path:
        return self._folder / f"{epoch}.safetensors"
