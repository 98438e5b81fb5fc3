"""A training as a person sees it: sentences, a bar, a table that grows by a row an epoch."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from cli.garbage import collect_garbage
from cli.terminal import complain, console, output, progress_of, tell
from streamer.train.journal import Row
from streamer.train.loop import Outcome
from streamer.train.run import preview, train
from streamer.train.settings import TrainSettings
from streamer.train.validate import MEAN, named

KINDS = ("sdr", "sir", "sar")


def run_train(settings: TrainSettings) -> int:
    """Train, and return the exit code."""
    collect_garbage()
    with Screen() as screen:
        outcome = train(settings, screen)
    if outcome is None:
        return 0
    if outcome.signum is not None:
        complain(f"stopped and saved; the same command with --resume goes on, and {_best(outcome)}")
        return 128 + outcome.signum
    _show(outcome)
    return 0


def run_preview(settings: TrainSettings, folder: Path) -> int:
    """Write examples of every augmentation, and return the exit code."""
    collect_garbage()
    with Screen() as screen:
        folders = preview(settings, folder, screen)
    tell(f"written to {folder}: {', '.join(one.name for one in folders)}")
    return 0


class Screen:
    """Tells how a training goes; see `streamer.train.loop.Listener`."""

    def __init__(self) -> None:
        self._bar = progress_of(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}", markup=False),
            TimeRemainingColumn(compact=True),
        )
        self._songs = self._bar.add_task("songs", visible=False, loss="")
        self._judged = self._bar.add_task("judging", visible=False, loss="")
        self._steps = self._bar.add_task("steps", visible=False, loss="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def told(self, sentence: str) -> None:
        """See `Listener`."""
        tell(sentence)

    def decoded(self, songs: int, of: int) -> None:
        """See `Listener`."""
        self._bar.update(self._songs, completed=songs, total=of, visible=songs < of)

    def stepped(self, step: int, of: int, loss: float) -> None:
        """See `Listener`."""
        self._bar.update(
            self._steps, completed=step, total=of, visible=True, loss=f"loss {loss:.4f}"
        )

    def judged(self, songs: int, of: int) -> None:
        """See `Listener`."""
        if not songs:
            self._bar.reset(self._judged)
        self._bar.update(self._judged, completed=songs, total=of, visible=songs < of)

    def validated(self, row: Row, *, better: bool) -> None:
        """See `Listener`."""
        words = [f"{name.removeprefix('sdr_')} {row[name]:.2f}" for name in row if "sdr_" in name]
        loss = f"loss {row['loss']:.4f}, " if "loss" in row else ""
        console.print(
            Text(
                f"epoch {row['epoch']:.0f}, step {row['step']:.0f}: {loss}"
                f"SDR {row['sdr']:.2f} dB ({', '.join(words)}){', the best so far' * better}"
            )
        )
        for kind in ("sir", "sar"):
            words = [f"{name[4:]} {row[name]:.2f}" for name in row if name.startswith(kind)]
            if words:
                console.print(Text(f"    {kind.upper()}: {', '.join(words)}"))


def _best(outcome: Outcome) -> str:
    if outcome.epoch is None:
        return "there is no result yet"
    return f"{outcome.model} is the best so far, of epoch {outcome.epoch}"


def _show(outcome: Outcome) -> None:
    assert outcome.scores is not None
    ratios = named(outcome.scores)
    kinds = [kind for kind in KINDS if any(name.startswith(f"{kind}_") for name in ratios)]
    table = Table(box=None)
    table.add_column("stem")
    for kind in kinds:
        table.add_column(f"{kind.upper()} dB", justify="right")
    for stem in (name for name in outcome.scores if name != MEAN):
        table.add_row(stem, *(f"{ratios[f'{kind}_{stem}']:.2f}" for kind in kinds))
    table.add_row(MEAN, f"{ratios['sdr']:.2f}")
    output.print(table)
    waiting = outcome.waiting_seconds / max(outcome.step_seconds, 1e-9)
    tell(f"{outcome.step_seconds:.3f} s a step, {waiting:.0%} of it waiting for examples")
    assert outcome.half_costs_db is not None
    stored = "half" if outcome.stored_half else "single"
    tell(f"half precision costs {outcome.half_costs_db:.3f} dB, so weights are in {stored}")
    *some, last = outcome.averaged or (outcome.epoch,)
    which = (
        f"the mean of epochs {', '.join(map(str, some))} and {last}" if some else f"epoch {last}"
    )
    tell(f"written to {outcome.model}, {which}: stemstream separate -n {outcome.model}")
