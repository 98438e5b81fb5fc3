"""Examples to learn from: stems cut from tracks and varied. The same number gives the same example.

Example n of a seed never changes, whichever process makes it: its random numbers come from a
generator of its own. So neither the number of workers nor an interruption changes the training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from streamer.audio import Samples
from streamer.pipeline.level import RunningLevel
from streamer.train.augment import Generator, draw_warp
from streamer.train.corpus import Track
from streamer.train.interrupt import stay_deaf
from streamer.train.settings import TrainSettings
from streamer.train.studio import MIX_VARIATIONS, STEM_VARIATIONS

RECIPE: Final = ("remix", "mixup", "pitch", "tempo", *STEM_VARIATIONS, *MIX_VARIATIONS)
"""The settings for how often each variation is made."""


def recipe_of(settings: TrainSettings) -> dict[str, float]:
    """Return how likely each variation is."""
    return {name: settings.augment * getattr(settings, name) for name in RECIPE}


class Examples(Dataset[torch.Tensor]):
    """Example n is ``(stems, channels, frames)``, float32; the mixture is the sum of its stems.

    Args:
        tracks: the songs to cut from, at ``samplerate``.
        chances: how likely each track is, adding up to 1.
        recipe: how likely each variation is, by the names of `RECIPE`.
        frames: the length of an example.
        seed: the seed of the random numbers.
        level_rms: what `streamer.pipeline.level.RunningLevel` brings a mixture to before this
            network hears it; None: nothing does.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        chances: Sequence[float],
        recipe: Mapping[str, float],
        frames: int,
        seed: int,
        level_rms: float | None = None,
    ) -> None:
        self._level_rms = level_rms
        self._tracks = list(tracks)
        self._chances = np.array(chances)
        self._recipe = {name: recipe.get(name, 0.0) for name in RECIPE}
        self._frames = frames
        self._samplerate = tracks[0].samplerate
        self._seed = seed
        self._stems = len(tracks[0].song.stems)
        self._sounding = [self._chances_of(stem) for stem in range(self._stems)]

    def __getitem__(self, number: int) -> torch.Tensor:
        """Make example ``number``."""
        draw = np.random.default_rng([self._seed, number])
        apart, place = draw.random() < self._recipe["remix"], draw.spawn(1)[0]
        stems = np.stack(
            [
                # where they stay together, all stems draw the same track, position and warp
                self._stem(stem, own, apart, own if apart else _again(place))
                for stem, own in enumerate(draw.spawn(self._stems))
            ]
        )
        for name, vary in MIX_VARIATIONS.items():
            if draw.random() < self._recipe[name]:
                stems = vary(stems, draw, self._samplerate)
        if self._level_rms is not None:
            stems = self._levelled(stems, self._level_rms, draw)
        return torch.from_numpy(np.ascontiguousarray(stems.transpose(0, 2, 1)))

    def _levelled(self, stems: Samples, level_rms: float, draw: Generator) -> Samples:
        """Return stems times the gain that their mixture has on its way into the network.

        Half of them go on from music of the same level; the others are how a stream begins.
        """
        mixture, level = stems.sum(axis=0), RunningLevel(self._samplerate, level_rms)
        ones = np.ones((1, len(mixture), 1), np.float32)
        if draw.random() < 0.5:
            level.feed(mixture)
            level.invert(ones)
        level.feed(mixture)
        levelled: Samples = stems / level.invert(ones)
        return levelled

    def _stem(self, stem: int, own: Generator, apart: bool, place: Generator) -> Samples:
        chances = self._sounding[stem] if apart else self._chances
        samples = self._cut(stem, chances, place)
        for name, vary in STEM_VARIATIONS.items():
            if own.random() < self._recipe[name]:
                samples = vary(samples, own, self._samplerate)
        if own.random() < self._recipe["mixup"]:
            samples = samples + self._cut(stem, self._sounding[stem], own)
        return samples

    def _cut(self, stem: int, chances: np.ndarray[Any, Any], draw: Generator) -> Samples:
        """Draw a track, a warp and a position, and return ``(frames, channels)`` of it."""
        track = self._tracks[int(draw.choice(len(self._tracks), p=chances))]
        warp = draw_warp(draw, self._recipe["pitch"], self._recipe["tempo"])
        needed = warp.source_frames(self._frames)
        # a song that is too short begins late and ends early
        room = track.frames - needed
        start = int(draw.integers(min(0, room), max(0, room), endpoint=True))
        return warp(track.read(stem, start, needed), self._samplerate, self._frames)

    def _chances_of(self, stem: int) -> np.ndarray[Any, Any]:
        """Return how likely each track is to give a stem by itself: not where it is silent."""
        sounding = self._chances * [not track.is_silent(stem) for track in self._tracks]
        return sounding / sounding.sum() if sounding.sum() else self._chances


def _again(draw: Generator) -> Generator:
    """Return a generator that will draw the same as this one."""
    twin = np.random.default_rng()
    twin.bit_generator.state = draw.bit_generator.state
    return twin


class Course(Sampler[list[int]]):
    """The numbers of the examples of each batch, from a step on, for one of several processes.

    Step s of a run takes the same examples however many processes share them.
    """

    def __init__(self, first_batch: int, last_batch: int, size: int, rank: int, world: int) -> None:
        self._batches = range(first_batch, last_batch)
        self._size = size
        self._rank = rank
        self._world = world

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the examples of one batch after the other."""
        for batch in self._batches:
            first = (batch * self._world + self._rank) * self._size
            yield list(range(first, first + self._size))

    def __len__(self) -> int:
        return len(self._batches)


def load(examples: Examples, course: Course, workers: int) -> Iterator[torch.Tensor]:
    """Yield batches ``(batch, stems, channels, frames)``; ``workers`` processes make them ahead."""
    loader: DataLoader[torch.Tensor] = DataLoader(
        examples,
        batch_sampler=course,
        num_workers=workers,
        # a fork would inherit locks, but not the threads that hold them
        multiprocessing_context="spawn" if workers else None,
        prefetch_factor=4 if workers else None,
        worker_init_fn=stay_deaf,
    )
    return iter(loader)
