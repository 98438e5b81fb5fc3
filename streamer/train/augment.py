"""Ways to vary a stem; each draws its random numbers from a generator.

They take a stem and give a stem. The mixture is the sum of the varied stems, so the network has to
find the varied stems.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from python_stretch.Signalsmith import Stretch
from scipy.signal import oaconvolve, sosfilt

from streamer.audio import Samples

Generator: TypeAlias = np.random.Generator
Augmentation: TypeAlias = Callable[[Samples, Generator, int], Samples]

SEMITONES: Final = 2.0
SLOWEST, FASTEST = 0.8, 1.2
QUIETEST, LOUDEST = 0.25, 1.25
"""The range of gains that Demucs's own training draws from (`demucs.augment.Scale`)."""


@dataclass(frozen=True)
class Warp:
    """Another pitch, in semitones, and tempo, as a multiple."""

    semitones: float = 0.0
    tempo: float = 1.0

    def source_frames(self, frames: int) -> int:
        """Return how many frames of source are needed for this many frames."""
        return int(np.ceil(frames * self.tempo))

    def __call__(self, stem: Samples, samplerate: int, frames: int) -> Samples:
        """Return ``(frames, channels)``, made from `source_frames` frames."""
        if self == Warp():
            return stem
        stretch = Stretch()
        stretch.preset(stem.shape[1], samplerate)
        stretch.setTransposeSemitones(self.semitones)
        stretch.setTimeFactor(self.tempo)
        warped: Samples = np.asarray(stretch.process(np.ascontiguousarray(stem.T))).T[:frames]
        missing = frames - len(warped)
        return np.pad(warped, ((0, missing), (0, 0))) if missing else warped


def draw_warp(draw: Generator, pitch: float, tempo: float) -> Warp:
    """Draw a warp; ``pitch`` and ``tempo`` are how likely each one changes."""
    shifted, hurried = draw.random(2) < (pitch, tempo)
    semitones = draw.uniform(-SEMITONES, SEMITONES)
    times = draw.uniform(SLOWEST, FASTEST)
    return Warp(float(semitones) if shifted else 0.0, float(times) if hurried else 1.0)


def equalize(stem: Samples, draw: Generator, samplerate: int) -> Samples:
    """Raise or lower three bells, each by up to 9 dB (peaking filters of the Audio EQ Cookbook)."""
    hertz = np.exp(draw.uniform(np.log(60.0), np.log(min(12_000.0, 0.4 * samplerate)), 3))
    amplitude = 10 ** (draw.uniform(-9, 9, 3) / 40)
    quality = draw.uniform(0.4, 1.5, 3)
    omega = 2 * np.pi * hertz / samplerate
    alpha = np.sin(omega) / (2 * quality)
    middle = -2 * np.cos(omega)
    up, down = alpha * amplitude, alpha / amplitude
    bells = np.stack([1 + up, middle, 1 - up, 1 + down, middle, 1 - down], axis=1)
    equalized: Samples = sosfilt(bells / bells[:, 3:4], stem, axis=0).astype(np.float32)
    return equalized


def reverberate(stem: Samples, draw: Generator, samplerate: int) -> Samples:
    """Add a room: noise that dies away within 0.2 to 1 s, 6 to 20 dB under the stem.

    Moorer's model of a room, "About this reverberation business", 1979.
    """
    sixty_db_seconds = draw.uniform(0.2, 1.0)
    delay = int(draw.uniform(0.005, 0.03) * samplerate)
    times = np.arange(int(sixty_db_seconds * samplerate)) / samplerate
    decay = 10 ** (-3 * times / sixty_db_seconds)
    tail = draw.standard_normal((len(times), stem.shape[1])) * decay[:, np.newaxis]
    # walls swallow the high end
    tail = sosfilt([[0.5, 0.5, 0, 1, 0, 0]], tail, axis=0)
    tail /= np.sqrt(np.square(tail).sum(axis=0))
    room = np.zeros((delay + len(tail), stem.shape[1]), np.float32)
    room[delay:] = tail * 10 ** (draw.uniform(-20, -6) / 20)
    wet: Samples = oaconvolve(stem, room, axes=0)[: len(stem)]
    return stem + wet.astype(np.float32)


def scale(stem: Samples, draw: Generator, samplerate: int) -> Samples:  # noqa: ARG001
    """Turn a stem up or down."""
    return stem * np.float32(draw.uniform(QUIETEST, LOUDEST))


def swap_channels(stem: Samples, draw: Generator, samplerate: int) -> Samples:  # noqa: ARG001
    """Exchange left and right."""
    return stem[:, ::-1]


def turn_polarity(stem: Samples, draw: Generator, samplerate: int) -> Samples:  # noqa: ARG001
    """Invert the polarity of a stem."""
    return -stem


AUGMENTATIONS: Final[Mapping[str, Augmentation]] = {
    "equalizer": equalize,
    "reverb": reverberate,
    "gain": scale,
    "channel_swap": swap_channels,
    "polarity": turn_polarity,
}
"""The variations of a single stem, in this order, by the settings' names."""
