"""Models that have learnt already, and help another to learn.

The true stems of a mixture tell one way to explain it. A teacher's stems tell what can be heard in
it at all (knowledge distillation: Hinton and others, "Distilling the knowledge in a neural
network", 2015). So they keep a small network from learning few songs by heart.

Several teachers stand in a row. Each gives what it has of the stems, and the next one hears what
that left of the mixture. So one that knows voices alone helps one that knows all stems.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from streamer.audio import Samples
from streamer.engine import run
from streamer.errors import SettingsError
from streamer.files.decode.memory import MemorySource
from streamer.models.separator import Bag
from streamer.processor import Processor, load_bag
from streamer.settings import Settings
from streamer.train.settings import TrainSettings


def check_teachers(settings: TrainSettings, names: Sequence[str]) -> list[str | None]:
    """Check that the teachers can be had, and give the stems that are learnt.

    Return what there is to tell of how each was chosen.

    Raises:
        SettingsError: the last one does not give these stems, or one before it gives none of them,
            or leaves nothing for the others.
        StemstreamError: a model cannot be had.
    """
    bags = [_load(settings, model, settings.device) for model in settings.teacher]
    for number, (model, bag) in enumerate(zip(settings.teacher, bags, strict=True), 1):
        if number == len(bags):
            fits, wanted = set(bag.names) == set(names), "the last one must have the same stems"
        else:
            fits = 0 < len(set(names) & set(bag.names)) < len(names)
            wanted = "one before the last must have some of these stems, not all"
        if not fits:
            raise SettingsError(
                f"teacher={model} gives {', '.join(bag.names)}, and {settings.model} is to learn "
                f"{', '.join(names)}; {wanted}"
            )
    return [bag.note for bag in bags]


class Teacher:
    """Gives the stems that `stemstream separate` would, one teacher after the other.

    Args:
        settings: name the models, and how much they count; see `check_teachers`.
        names: the stems that are learnt.
        samplerate: of the examples, in Hz.
        device: what they compute on.
    """

    def __init__(
        self, settings: TrainSettings, names: Sequence[str], samplerate: int, device: str
    ) -> None:
        self._share = settings.teacher_share
        self._samplerate = samplerate
        self._stems = len(names)
        self._row = [_One(settings, model, names, device) for model in settings.teacher]

    def goals(self, stems: torch.Tensor) -> torch.Tensor:
        """Return what is to be learnt: the true ``stems``, moved towards the teachers'.

        Both are ``(batch, stems, channels, frames)``.
        """
        mixtures = stems.sum(1).float().cpu().numpy()
        heard = torch.from_numpy(np.stack([self._heard_in(mixture) for mixture in mixtures]))
        return torch.lerp(stems, heard.to(stems), self._share)

    def take_notes(self) -> list[str]:
        """Return notes for the user on how they ran since the last call."""
        return [note for one in self._row for note in one.bag.take_notes()]

    def _heard_in(self, mixture: Samples) -> Samples:
        """Return ``(stems, channels, frames)`` of ``(channels, frames)``."""
        heard, rest = np.zeros((self._stems, *mixture.shape), np.float32), mixture
        for one in self._row:
            source = MemorySource("example", rest.T, self._samplerate)
            parts = [part.data[one.given] for part in run(source, one.processor)]
            stems = np.concatenate(parts, axis=1).transpose(0, 2, 1)
            heard[one.learnt] += stems
            rest = rest - stems.sum(0)
        return heard


class _One:
    """A teacher: ``given`` are its stems that are learnt, ``learnt`` their places among those."""

    def __init__(
        self, settings: TrainSettings, model: str, names: Sequence[str], device: str
    ) -> None:
        self.bag = _load(settings, model, device)
        self.processor = Processor(_settings(settings, model, device), bag=self.bag)
        shared = [name for name in names if name in self.bag.names]
        self.given = [self.bag.names.index(name) for name in shared]
        self.learnt = [names.index(name) for name in shared]


def _load(settings: TrainSettings, model: str, device: str) -> Bag:
    threads = torch.get_num_threads()  # a network that remembers takes one
    try:
        return load_bag(_settings(settings, model, device))
    finally:
        torch.set_num_threads(threads)


def _settings(settings: TrainSettings, model: str, device: str) -> Settings:
    return Settings(
        model=model,
        repo=settings.repo,
        trust_checkpoint=settings.trust_checkpoint,
        torch_num_threads=settings.torch_num_threads,
        device=device,
        shifts=0,
        overlap=0.0,  # an example is a window or two
        clip_mode="none",
    )
