"""A model that has learnt already, and helps another to learn.

The true stems of a mixture tell one way to explain it. A teacher's stems tell what can be heard in
it at all (knowledge distillation: Hinton and others, "Distilling the knowledge in a neural
network", 2015). So they keep a small network from learning few songs by heart.
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


def check_teacher(settings: TrainSettings, names: Sequence[str]) -> str | None:
    """Check that the teacher can be had, and gives the stems that are learnt.

    Return what there is to tell of how it was chosen.

    Raises:
        SettingsError: the model does not give these stems.
        StemstreamError: the model cannot be had.
    """
    bag = _load(settings, settings.device)
    if set(bag.names) != set(names):
        raise SettingsError(
            f"teacher={settings.teacher} gives {', '.join(bag.names)}, and {settings.model} is to "
            f"learn {', '.join(names)}; name one with the same stems"
        )
    return bag.note


class Teacher:
    """Gives the stems that `stemstream separate` would, one after the other.

    Args:
        settings: name the model, and how much it counts; see `check_teacher`.
        names: the stems that are learnt.
        samplerate: of the examples, in Hz.
        device: what it computes on.
    """

    def __init__(
        self, settings: TrainSettings, names: Sequence[str], samplerate: int, device: str
    ) -> None:
        self._share = settings.teacher_share
        self._samplerate = samplerate
        bag = _load(settings, device)
        self._order = [bag.names.index(name) for name in names]
        self._bag, self._processor = bag, Processor(_settings(settings, device), bag=bag)

    def goals(self, stems: torch.Tensor) -> torch.Tensor:
        """Return what is to be learnt: the true ``stems``, moved towards the teacher's.

        Both are ``(batch, stems, channels, frames)``.
        """
        return torch.lerp(stems, self._heard_in(stems.sum(1)).to(stems), self._share)

    def take_notes(self) -> list[str]:
        """Return notes for the user on how it ran since the last call."""
        return self._bag.take_notes()

    def _heard_in(self, mixtures: torch.Tensor) -> torch.Tensor:
        """Return the teacher's stems of ``(batch, channels, frames)``."""
        heard = [self._separated(mixture.numpy().T) for mixture in mixtures.float().cpu()]
        return torch.from_numpy(np.stack(heard))

    def _separated(self, mixture: Samples) -> Samples:
        """Return ``(stems, channels, frames)`` of ``(frames, channels)``."""
        source = MemorySource("example", mixture, self._samplerate)
        stems = np.concatenate([part.data for part in run(source, self._processor)], axis=1)
        ordered: Samples = stems[self._order]
        return ordered.transpose(0, 2, 1)


def _load(settings: TrainSettings, device: str) -> Bag:
    threads = torch.get_num_threads()  # a network that remembers takes one
    try:
        return load_bag(_settings(settings, device))
    finally:
        torch.set_num_threads(threads)


def _settings(settings: TrainSettings, device: str) -> Settings:
    assert settings.teacher is not None
    return Settings(
        model=settings.teacher,
        repo=settings.repo,
        trust_checkpoint=settings.trust_checkpoint,
        torch_num_threads=settings.torch_num_threads,
        device=device,
        shifts=0,
        overlap=0.0,  # an example is a window or two
        clip_mode="none",
    )
