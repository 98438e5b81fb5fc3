"""The results of each epoch, in a CSV file and for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from torch.utils.tensorboard import SummaryWriter

from streamer.files.part import sink_errors

LOG_FILE: Final = "log.csv"

Row = Mapping[str, float]


class Journal:
    """``log.csv``, a row an epoch, and ``tensorboard/``, in the folder of a run."""

    def __init__(self, folder: Path, step: int) -> None:
        self._csv = folder / LOG_FILE
        with sink_errors(folder):
            # a run that goes on takes back what it wrote after the step it goes on from
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, rows: Sequence[Row]) -> None:
        """Write all epochs so far; the last one is new.

        Raises:
            SinkError: it cannot be written.
        """
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with sink_errors(self._csv):
            with self._csv.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(rows)
            for name, value in rows[-1].items():
                if name != "step":
                    self._board.add_scalar(name, value, int(rows[-1]["step"]))
            self._board.flush()

    def close(self) -> None:
        """Let go of the files."""
        self._board.close()
