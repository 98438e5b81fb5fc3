"""A training from its settings to its files, top to bottom."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities import rank_zero_only

from streamer.errors import ModelError, ModelMemoryError, OutputExistsError, SettingsError
from streamer.files.part import refuse_unwritable
from streamer.models.backends.quantized import SLOW_BFLOAT16, has_bfloat16
from streamer.models.backends.torch_separator import ran_out
from streamer.models.networks.checkpoint import Network
from streamer.models.threads import set_up_torch
from streamer.resolve import flag
from streamer.sentences import shown
from streamer.train.best import BestEpochs
from streamer.train.checks import findings
from streamer.train.corpora import Corpora, gather
from streamer.train.export import SUFFIXES
from streamer.train.interrupt import Interrupt
from streamer.train.journal import LOG_FILE, Row
from streamer.train.loop import MODEL_FILE, STATE_FILE, Listener, Outcome, Stopped, Training
from streamer.train.losses import dropped
from streamer.train.network import Subject, load_subject
from streamer.train.preview import write_preview
from streamer.train.settings import FREE_TO_CHANGE, TrainSettings
from streamer.train.state import Progress, saved_progress, saved_settings
from streamer.train.teacher import check_teachers


def train(settings: TrainSettings, listener: Listener) -> Outcome | None:
    """Train a network; None comes of it in processes that only help the first one.

    Raises:
        StemstreamError: it cannot be trained with these settings; says why in one sentence.
    """
    if not _is_first():
        listener = _Nobody()
    _check_processes(settings)
    check_out(settings)
    set_up_torch(settings.torch_num_threads)
    subject, corpora = _prepare(settings, listener)
    # from here on there may be several processes; they come by the same way, and find all decoded
    fabric = _fabric(settings)
    set_up_torch(settings.torch_num_threads)  # where there are several, they were counted anew
    with Interrupt() as interrupt, _memory_told():
        training = Training(settings, fabric, subject, corpora, listener)
        listener.told(_plan(settings, training, fabric))
        if settings.precision == "bfloat16" and fabric.device.type == "cpu" and not has_bfloat16():
            listener.told(SLOW_BFLOAT16)
        try:
            training.run(interrupt)
            return training.finish(interrupt) if _is_first() else None
        except Stopped:
            return training.outcome(signum=interrupt.signum) if _is_first() else None


def preview(settings: TrainSettings, folder: Path, listener: Listener) -> list[Path]:
    """Write examples to listen to, a folder for each augmentation, and return these.

    Raises:
        StemstreamError: they cannot be made; says why in one sentence.
    """
    subject = load_subject(settings)
    corpora = gather(
        settings, subject.network.sources, subject.network.samplerate, listener.decoded
    )
    return write_preview(folder, corpora, settings, subject.frames)


def check_out(settings: TrainSettings) -> None:
    """Make sure that no other run's files are in the way.

    Raises:
        OutputExistsError: there are, and nothing was said of them.
        SettingsError: the run to go on with was told something else, or libraries that write
            weights do not take the folder's name.
    """
    path = settings.out / STATE_FILE
    if str(path).encode(errors="replace") != os.fsencode(path):
        raise SettingsError(
            f"out={shown(settings.out)} is no name in UTF-8, which the libraries that write "
            "weights need; name another folder"
        )
    if settings.overwrite and settings.resume:
        raise SettingsError("--overwrite replaces what --resume goes on with; give one of them")
    if not path.is_file() or settings.overwrite:
        return
    if not settings.resume:
        raise OutputExistsError(
            f"{settings.out} holds a run; --resume goes on with it, --overwrite replaces it"
        )
    saved = saved_settings(path)
    # what is newer than the run was what it is by default
    fields = TrainSettings.model_fields
    before = TrainSettings(**{name: saved[name] for name in fields if name in saved})
    knowns = before.model_dump(mode="json")
    for name, value in settings.model_dump(mode="json").items():
        known = knowns[name]
        if name not in FREE_TO_CHANGE and value != known:
            raise SettingsError(
                f"{flag(name)}={shown(value)} must be {shown(known)}, as in the run in "
                f"{settings.out}, to go on with it; try --overwrite for a new run"
            )


def _is_first() -> bool:
    return not getattr(rank_zero_only, "rank", 0)


class _Nobody:
    """The listener of processes that only help."""

    def told(self, sentence: str) -> None:
        """See `Listener`."""

    def decoded(self, songs: int, of: int) -> None:
        """See `Listener`."""

    def stepped(self, step: int, of: int, loss: float) -> None:
        """See `Listener`."""

    def judged(self, songs: int, of: int) -> None:
        """See `Listener`."""

    def validated(self, row: Row, *, better: bool) -> None:
        """See `Listener`."""


@contextmanager
def _memory_told() -> Iterator[None]:
    """Say it in one sentence where the network has not enough memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        raise ModelMemoryError(
            "memory ran out; try a smaller --batch with more --accumulate, or a shorter --window"
        ) from error


def _fabric(settings: TrainSettings) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        fabric = Fabric(
            accelerator=settings.device,
            devices=settings.devices,
            strategy=_strategy() if settings.devices > 1 else "auto",
            precision="bf16-mixed" if settings.precision == "bfloat16" else "32-true",
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"device={settings.device} with devices={settings.devices} cannot be used here "
            f"({str(error).splitlines()[0].rstrip('.')[:200]}); try --device cpu --devices 1"
        ) from None
    return fabric


def _check_processes(settings: TrainSettings) -> None:
    """Refuse processes that would know nothing of each other, and write the same files."""
    begun = int(os.environ["WORLD_SIZE"]) if TorchElasticEnvironment.detect() else settings.devices
    if begun != settings.devices:
        raise SettingsError(
            f"devices={settings.devices} must be {begun}, since torchrun began {begun} processes; "
            f"give --devices {begun} too"
        )


def _strategy() -> DDPStrategy:
    # the others wait while the first process judges, which takes as long as the songs are; and a
    # network may have parameters that no output depends on
    return DDPStrategy(timeout=timedelta(hours=6), find_unused_parameters=True)


def _prepare(settings: TrainSettings, listener: Listener) -> tuple[Subject, Corpora]:
    """Load the network and the songs, and tell what was found of them."""
    subject = load_subject(settings)
    network = subject.network
    models = [(settings.out / MODEL_FILE).with_suffix(suffix) for suffix in SUFFIXES]
    state = settings.out / STATE_FILE
    if any(model.exists() and model.samefile(subject.file) for model in models):
        raise SettingsError(
            f"out={settings.out} must not be the folder of --name={subject.file}, which "
            f"it would replace; try --out {settings.out}-2"
        )
    made = next((model for model in models if model.is_file()), None)
    if made is not None and not (settings.overwrite or state.is_file()):
        raise OutputExistsError(
            f"{made} is there, and the run that made it is not; --overwrite replaces it, or name "
            "another folder with --out"
        )
    told = [subject.note, _nothing_dropped(settings, network), _nothing_resumed(settings)]
    told += check_teachers(settings, network.sources)
    before = saved_progress(state) if settings.resume and state.is_file() else Progress()
    _refuse_lost(settings, before)
    corpora = gather(settings, network.sources, network.samplerate, listener.decoded, before.judges)
    for target in (*models, state, settings.out / LOG_FILE):
        refuse_unwritable(target)  # now, not after hours
    for sentence in (*told, *findings(corpora, subject.frames)):
        if sentence:
            listener.told(sentence)
    return subject, corpora


def _refuse_lost(settings: TrainSettings, before: Progress) -> None:
    """Refuse to go on with a run whose best weights are gone: it may not have better ones."""
    if before.best_epoch is None:
        return
    kept = BestEpochs(settings.out, settings.average).files(before.history)
    lost = [path for path in (settings.out / MODEL_FILE, *kept) if not path.is_file()]
    if lost:
        raise SettingsError(
            f"{lost[0]} is gone, and it is the best of the run in {settings.out} so far; put it "
            "back, or try --overwrite for a new run"
        )


def _nothing_dropped(settings: TrainSettings, network: Network) -> str | None:
    count = settings.batch * len(network.sources)
    if not settings.drop_highest or dropped(count, settings.drop_highest):
        return None
    return (
        f"drop_highest={settings.drop_highest:g} leaves out none of the {count} stems of a batch; "
        f"try {1 / count:.2g}, or a larger --batch"
    )


def _nothing_resumed(settings: TrainSettings) -> str | None:
    if not settings.resume or (settings.out / STATE_FILE).is_file():
        return None
    return f"there is no run in {settings.out} to go on with, so a new one begins"


def _plan(settings: TrainSettings, training: Training, fabric: Fabric) -> str:
    step = training.state.progress.step
    begun = f"from step {step} on, " if step else ""
    where = f"{fabric.world_size} x {fabric.device.type}, {settings.precision}"
    return (
        f"{begun}{settings.epochs} epochs of {training.epoch_steps} steps on {where}; "
        f"songs decoded in {settings.cache_folder}"
    )
