"""The training loop: steps, and scores between epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from lightning_fabric import Fabric

from streamer.children import deaf
from streamer.errors import ModelError, SettingsError
from streamer.train.best import BestEpochs, read_weights
from streamer.train.corpora import Corpora
from streamer.train.examples import Course, Examples, load, recipe_of
from streamer.train.export import HALF_COSTS_DB, export, state_of
from streamer.train.interrupt import Interrupt
from streamer.train.journal import Journal, Row
from streamer.train.losses import mean_loss, stem_losses
from streamer.train.network import Subject
from streamer.train.settings import TrainSettings
from streamer.train.state import (
    Progress,
    State,
    load_state,
    make_state,
    save_state,
    saved_progress,
    seed_step,
)
from streamer.train.teacher import Teacher
from streamer.train.validate import Scores, named, sdr_of, validate

STATE_FILE = "state.safetensors"
MODEL_FILE = "model.safetensors"


class Listener(Protocol):
    """Is told about the progress."""

    def told(self, sentence: str) -> None:
        """Take a sentence for the user."""

    def decoded(self, songs: int, of: int) -> None:
        """Take how many songs are decoded."""

    def stepped(self, step: int, of: int, loss: float) -> None:
        """Take the results of a step."""

    def judged(self, songs: int, of: int) -> None:
        """Take how many songs are judged; each takes seconds to minutes."""

    def validated(self, row: Row, *, better: bool) -> None:
        """Take the results of an epoch."""


@dataclass(frozen=True)
class Outcome:
    """The result of a training.

    ``model`` is the file of the best network, from the end of ``epoch`` (0: the network that the
    training began with; None: there is none yet), or the mean of several epochs, ``averaged``.
    ``scores`` are its scores before rounding.
    ``half_costs_db`` is how much SDR half precision costs. ``signum`` is the signal that stopped
    the run. The seconds are how long a step took, and how much of that it waited for examples.
    """

    model: Path
    epoch: int | None
    step_seconds: float
    waiting_seconds: float
    scores: Scores | None = None
    half_costs_db: float | None = None
    stored_half: bool = False
    signum: int | None = None
    averaged: tuple[int, ...] = ()


class Stopped(Exception):  # noqa: N818 (it is a wish, not an error)
    """The run was asked to stop."""


@dataclass
class _Clock:
    """Seconds of this process: in all steps, and the part that waited for examples."""

    steps: int = 0
    seconds: float = 0.0
    waiting_seconds: float = 0.0


class Training:
    """A network, what it learns from, and how far it is.

    Args:
        settings: the settings of the training.
        fabric: where it runs; already launched.
        subject: the network.
        corpora: the songs.
        listener: is told about the progress.
    """

    def __init__(
        self,
        settings: TrainSettings,
        fabric: Fabric,
        subject: Subject,
        corpora: Corpora,
        listener: Listener,
    ) -> None:
        self._settings = settings
        self._fabric = fabric
        self._corpora = corpora
        self._listener = listener
        self._frames = subject.frames
        self._best_epochs = BestEpochs(settings.out, settings.average)
        self._teacher = None
        if settings.teacher:
            network = subject.network
            self._teacher = Teacher(
                settings, network.sources, network.samplerate, str(fabric.device)
            )
        self._settled = slice(int(settings.settle * subject.network.samplerate), None)
        resumes = settings.resume and self._state_path.is_file()
        before = saved_progress(self._state_path) if resumes else Progress()
        judges = sorted(track.song.name for track in corpora.validation)
        if before.judges not in ([], judges):
            raise SettingsError(
                f"the songs to judge by are others than in the run in {settings.out}, whose scores "
                "mean nothing for them; put those back that are gone, or try --overwrite for a new "
                "run"
            )
        # songs to learn from may come and go: an epoch stays as long as it was
        self.epoch_steps = settings.epoch_steps or before.epoch_steps or self._steps_to_hear_all()
        self.steps = settings.epochs * self.epoch_steps
        network = subject.network.to(fabric.device)
        self.state: State = make_state(network, settings, self.steps)
        if resumes:
            load_state(self._state_path, self.state)
        self.state.progress.epoch_steps, self.state.progress.judges = self.epoch_steps, judges
        self._forward, self._optimizer = fabric.setup(network, self.state.optimizer)
        self.clock = _Clock()

    @property
    def _state_path(self) -> Path:
        return self._settings.out / STATE_FILE

    @property
    def model_path(self) -> Path:
        """The best network so far."""
        return self._settings.out / MODEL_FILE

    def _steps_to_hear_all(self) -> int:
        settings = self._settings
        seconds = self._frames / self._corpora.training[0].samplerate
        heard = seconds * settings.batch * settings.accumulate * self._fabric.world_size
        return max(1, math.ceil(self._corpora.seconds / heard))

    def run(self, interrupt: Interrupt) -> None:
        """Train to the end, or until nothing gets better.

        Raises:
            Stopped: it was asked to stop; the state is saved.
            ModelError: the loss is not a number, or a process that makes examples was killed.
            SinkError: something cannot be written.
        """
        progress = self.state.progress
        self.state.network.train()
        batches = self._batches()
        try:
            with closing(Journal(self._settings.out, progress.step)) as journal:
                if not progress.history:
                    self._end_epoch(0, interrupt, journal)
                while not self.is_over:
                    while progress.step < (progress.epoch + 1) * self.epoch_steps:
                        self._step(batches)
                        self._heed(interrupt)
                    self._end_epoch(progress.epoch + 1, interrupt, journal)
        except Stopped:
            self._save()
            raise
        except (RuntimeError, ConnectionError, EOFError) as error:
            # torch raises the first wherever the loop is, for each such process, so also while it
            # ends; the others where what comes from it breaks off before that
            if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
                raise
            raise ModelError(
                "a process that makes examples was killed, as it is where memory runs out; "
                "try the same command with --resume, which goes on from the last epoch, and "
                "fewer --workers"
            ) from None

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or too many brought no gain."""
        progress = self.state.progress
        patience = self._settings.patience
        return progress.epoch >= self._settings.epochs or 0 < patience <= progress.stale

    def _batches(self) -> Iterator[torch.Tensor]:
        settings, fabric = self._settings, self._fabric
        corpora = self._corpora
        examples = Examples(
            corpora.training,
            corpora.chances,
            recipe_of(settings),
            self._frames,
            settings.seed,
            getattr(self.state.network, "level_rms", None),
        )
        first, last = (
            step * settings.accumulate for step in (self.state.progress.step, self.steps)
        )
        course = Course(first, last, settings.batch, fabric.global_rank, fabric.world_size)
        with deaf():
            return load(examples, course, settings.workers)

    def _step(self, batches: Iterator[torch.Tensor]) -> None:
        settings, fabric, state = self._settings, self._fabric, self.state
        began = time.perf_counter()
        seed_step(settings.seed, state.progress.step, fabric.global_rank)
        total = torch.zeros((), device=fabric.device)
        for number in range(settings.accumulate):
            stems = self._next(batches)
            more = number < settings.accumulate - 1
            with fabric.no_backward_sync(self._forward, enabled=more):
                goals = self._goals(stems)
                estimates = self._forward(stems.sum(1))[..., self._settled]
                goals = goals[..., self._settled]
                losses = stem_losses(estimates, goals, settings.loss, settings.stft_loss)
                loss = mean_loss(losses, settings.drop_highest) / settings.accumulate
                fabric.backward(loss)
            total += loss.detach()
        norm = fabric.clip_gradients(
            self._forward, self._optimizer, max_norm=settings.clip_norm, error_if_nonfinite=False
        )
        assert norm is not None
        if not norm.isfinite():
            raise ModelError(
                f"the loss is no number at step {state.progress.step + 1}; try a lower "
                f"--learning-rate than {settings.learning_rate:g}, or --precision float32"
            )
        self._optimizer.step()
        self._optimizer.zero_grad()
        state.schedule.step()
        state.average.update_parameters(state.network)
        state.progress.step += 1
        state.progress.loss_sum += float(total)
        self.clock.steps += 1
        self.clock.seconds += time.perf_counter() - began
        self._listener.stepped(state.progress.step, self.steps, float(total))

    def _goals(self, stems: torch.Tensor) -> torch.Tensor:
        """Return what is to be learnt of these true stems."""
        if self._teacher is None:
            return stems
        goals = self._teacher.goals(stems)
        for note in self._teacher.take_notes():
            self._listener.told(note)
        return goals

    def _next(self, batches: Iterator[torch.Tensor]) -> torch.Tensor:
        began = time.perf_counter()
        stems = next(batches)
        self.clock.waiting_seconds += time.perf_counter() - began
        return stems.to(self._fabric.device)

    def _heed(self, interrupt: Interrupt) -> None:
        """Stop all processes at the same step, once the first process was asked to stop."""
        wanted = interrupt.signum is not None
        if self._fabric.world_size > 1:
            wanted = self._fabric.broadcast(wanted)
        if wanted:
            raise Stopped

    def _end_epoch(self, epoch: int, interrupt: Interrupt, journal: Journal) -> None:
        """Score the network after an epoch, and save the state; 0 is before the first epoch."""
        progress, every = self.state.progress, self._settings.bss_every
        scores: Scores | None = None
        if self._fabric.is_global_zero:
            with_bss = bool(epoch and every) and not epoch % every
            with suppress(Stopped):  # the others wait for what comes of this
                scores = self._judge(interrupt, with_bss=with_bss)
        scores = self._fabric.broadcast(scores)
        if scores is None:
            raise Stopped
        sdr_db = sdr_of(scores)
        better = sdr_db > progress.best_sdr or progress.best_epoch is None
        row = {"epoch": epoch, "step": progress.step, **named(scores)}
        if epoch:
            row["loss"] = progress.loss_sum / self.epoch_steps
        progress.history.append(row)
        progress.epoch, progress.loss_sum = epoch, 0.0
        progress.stale = 0 if better else progress.stale + 1
        if better:
            progress.best_sdr, progress.best_epoch = sdr_db, epoch
        if self._fabric.is_global_zero:
            network = self.state.average.module
            if better:
                export(network, self.model_path, state_of(network))
            self._best_epochs.keep(progress.history, state_of(network))
            self._save()
            self._best_epochs.forget(progress.history)
            journal.write(progress.history)
        self._listener.validated(row, better=better)

    def _judge(self, interrupt: Interrupt, *, with_bss: bool) -> Scores:
        """Return the scores of the averaged network on the songs to judge by."""
        network, songs = self.state.average.module, self._corpora.validation
        judged = 0

        def note() -> None:
            nonlocal judged
            judged += 1
            self._listener.judged(judged, len(songs))
            if interrupt.signum is not None:
                raise Stopped

        self._listener.judged(0, len(songs))
        return validate(network, songs, self._fabric.device, with_bss=with_bss, after_each=note)

    def finish(self, interrupt: Interrupt) -> Outcome:
        """Score the best network, and store it in half precision if that costs little.

        For the first process alone.

        Raises:
            Stopped: it was asked to stop; the best network is there in single precision.
        """
        network = self.state.average.module
        scores, averaged = self._choose(interrupt)
        network.load_state_dict(state_of(network, half=True))
        cost_db = sdr_of(scores) - sdr_of(self._judge(interrupt, with_bss=False))
        stored_half = cost_db < HALF_COSTS_DB
        if stored_half:
            export(network, self.model_path, state_of(network, half=True))
        return replace(
            self.outcome(),
            scores=scores,
            half_costs_db=cost_db,
            stored_half=stored_half,
            averaged=averaged,
        )

    def _choose(self, interrupt: Interrupt) -> tuple[Scores, tuple[int, ...]]:
        """Load the best weights; return their scores, and which epochs they are the mean of."""
        network, with_bss = self.state.average.module, bool(self._settings.bss_every)
        kept, progress = self._best_epochs, self.state.progress
        averaged = kept.averaged(progress.history)
        assert progress.best_epoch is not None
        # the model's file may be the mean, of a run that was stopped further down
        best = kept.weights(progress.best_epoch) if averaged else read_weights(self.model_path)
        network.load_state_dict(best)
        scores = self._judge(interrupt, with_bss=with_bss)
        if averaged:
            network.load_state_dict(kept.mean(progress.history))
            of_mean = self._judge(interrupt, with_bss=with_bss)
            if sdr_of(of_mean) > sdr_of(scores):
                export(network, self.model_path, state_of(network))
                return of_mean, averaged
            network.load_state_dict(best)
        return scores, ()

    def outcome(self, signum: int | None = None) -> Outcome:
        """Return the result so far."""
        clock, steps = self.clock, max(self.clock.steps, 1)
        return Outcome(
            self.model_path,
            self.state.progress.best_epoch,
            clock.seconds / steps,
            clock.waiting_seconds / steps,
            signum=signum,
        )

    def _save(self) -> None:
        if self._fabric.is_global_zero:
            save_state(self._state_path, self.state, self._settings)
