"""Loudness on the way into the model, its exact inverse on the way out, and the soft clip."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamer.audio import Samples
from streamer.pipeline.fifo import Fifo

TARGET_RMS = 1.0
"""The target of the running RMS: the unit deviation that Demucs gives a whole track."""
FLOOR_RMS = 1e-2
"""-40 dB full scale: the gain is at most the inverse of this, so quieter music stays quieter."""
SLOW_SECONDS = 3.0
FAST_SECONDS = 0.5
"""The level is the larger of two averages. Thanks to the fast one, music after silence does not
start with the gain of the silence."""
STRETCH_FRAMES = 4096
"""The most frames whose average is computed at a time: weights then rise by less than a half."""
KNEE = 10 ** (-1 / 20)
"""The soft clip leaves everything below -1 dB full scale as it is, to the bit."""


class Leveler(Protocol):
    """A gain before the model, undone after the model, frame by frame."""

    def feed(self, block: Samples) -> Samples:
        """Return ``(frames, channels)`` times the gain."""
        ...

    def invert(self, stems: Samples) -> Samples:
        """Return the next ``(stems, frames, channels)`` with the gain undone."""
        ...


class NoLevel:
    """Leaves the level as it is (``normalize="none"``)."""

    def feed(self, block: Samples) -> Samples:
        """Return the block."""
        return block

    def invert(self, stems: Samples) -> Samples:
        """Return the stems."""
        return stems


class TrackLevel:
    """Demucs's way (``normalize="track"``): mean 0 and deviation 1 over the whole track.

    ``mean`` and ``deviation`` are of the track's mono mix. Each stem gets the mean back, as in
    `demucs.api.Separator`.
    """

    def __init__(self, mean: float, deviation: float) -> None:
        self._mean = np.float32(mean)
        self._deviation = np.float32(deviation + 1e-8)

    def feed(self, block: Samples) -> Samples:
        """Return the block minus the mean, divided by the deviation."""
        return (block - self._mean) / self._deviation

    def invert(self, stems: Samples) -> Samples:
        """Return the stems times the deviation, plus the mean."""
        return stems * self._deviation + self._mean


class RunningLevel:
    """Brings the running RMS to a target (``normalize="rms"``), causally and per frame.

    The mean square is averaged over `SLOW_SECONDS` and over `FAST_SECONDS` (at the start: over the
    stream so far), and the larger one counts. The gain of each frame is remembered until its stems
    come back, so the stems have the dynamics of the mix.
    """

    def __init__(self, samplerate: int, target_rms: float = TARGET_RMS) -> None:
        self._target_rms = np.float32(target_rms)
        self._slow = _MeanSquare(SLOW_SECONDS * samplerate)
        self._fast = _MeanSquare(FAST_SECONDS * samplerate)
        self._gains = Fifo()

    def feed(self, block: Samples) -> Samples:
        """Return the block times the running gain."""
        powers = np.square(block.astype(np.float64)).mean(axis=1)  # squares may exceed float32
        mean_square = np.maximum(self._slow.feed(powers), self._fast.feed(powers))
        gains = (1 / np.sqrt(mean_square + FLOOR_RMS**2)).astype(np.float32)[:, np.newaxis]
        gains *= self._target_rms
        self._gains.push(gains)
        return block * gains

    def invert(self, stems: Samples) -> Samples:
        """Return the stems divided by the gain of their frames."""
        return stems / self._gains.pop(stems.shape[1]) if stems.shape[1] else stems


class _MeanSquare:
    """Averages powers over a time: ``m += (power - m) / memory_frames`` for each frame.

    At the start it is the mean of the stream so far. In a stretch of frames, m is a sum of powers
    with weights that rise, times a factor that falls: numpy can add these up. The stretches lie on
    an absolute grid: any split of the stream into blocks gives the same, to the bit.
    """

    def __init__(self, memory_frames: float) -> None:
        self._even_frames = int(memory_frames)
        self._stretch_frames = min(self._even_frames // 4, STRETCH_FRAMES)
        rise = (1 - 1 / memory_frames) ** -np.arange(1.0, self._stretch_frames + 1)
        self._weights = rise / memory_frames
        self._factors = 1 / rise
        self._fed_frames = 0
        self._sum = 0.0
        self._mean = 0.0

    def feed(self, powers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the average at each frame."""
        means = [np.empty(0)]
        while len(powers):
            later_frames = self._fed_frames - self._even_frames
            if later_frames < 0:
                part = powers[:-later_frames]
                count = np.arange(self._fed_frames + 1.0, self._fed_frames + len(part) + 1)
                means.append(self._add(part) / count)
            else:
                begin = later_frames % self._stretch_frames
                part = powers[: self._stretch_frames - begin]
                at = slice(begin, begin + len(part))
                if begin == 0:
                    self._sum = self._mean
                means.append(self._add(part * self._weights[at]) * self._factors[at])
            self._mean = means[-1][-1]
            self._fed_frames += len(part)
            powers = powers[len(part) :]
        return np.concatenate(means)

    def _add(self, terms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum so far at each term, in their order."""
        sums = np.add.accumulate(np.concatenate([[self._sum], terms]))[1:]
        self._sum = sums[-1]
        return sums


def make_leveler(
    normalize: str,
    samplerate: int,
    mean: float,
    deviation: float,
    target_rms: float = TARGET_RMS,
) -> Leveler:
    """Return the leveler named ``normalize``; ``mean`` and ``deviation`` are for ``"track"``."""
    if normalize == "rms":
        return RunningLevel(samplerate, target_rms)
    if normalize == "track":
        return TrackLevel(mean, deviation / target_rms)
    return NoLevel()


class TrackStatistics:
    """Mean and deviation of a track's mono mix, block by block (Chan's parallel variance)."""

    def __init__(self) -> None:
        self._frames = 0
        self.mean = 0.0
        self._squares = 0.0

    def feed(self, block: Samples) -> None:
        """Take ``(frames, channels)``."""
        if not len(block):
            return
        mono = block.mean(axis=1, dtype=np.float64)
        frames = self._frames + len(mono)
        delta = mono.mean() - self.mean
        self._squares += ((mono - mono.mean()) ** 2).sum()
        self._squares += delta**2 * self._frames * len(mono) / frames
        self.mean += delta * len(mono) / frames
        self._frames = frames

    @property
    def deviation(self) -> float:
        """The sample standard deviation (over frames - 1, as `torch.std`)."""
        return float(np.sqrt(self._squares / (self._frames - 1))) if self._frames > 1 else 0.0


def soft_clip(samples: Samples) -> Samples:
    """Return the samples, bent smoothly under full scale above `KNEE`; the rest is bit-exact.

    Above the knee k the curve is ``k + (1 - k) tanh((|x| - k) / (1 - k))``: its slope is 1 at the
    knee and it never passes 1.
    """
    magnitude = np.abs(samples)
    over = magnitude > KNEE
    if not over.any():
        return samples
    room = 1 - KNEE
    bent = samples.copy()
    bent[over] = np.copysign(KNEE + room * np.tanh((magnitude[over] - KNEE) / room), samples[over])
    return bent


def clamp(samples: Samples) -> Samples:
    """Return the samples cut at +-0.99, as `demucs.audio.prevent_clip` does."""
    return np.clip(samples, -0.99, 0.99)
