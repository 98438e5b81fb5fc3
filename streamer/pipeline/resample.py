"""Sample-rate conversion as a pure stage: blocks in, blocks out, any split the same to the bit.

::

    resampler = make_resampler(48000, 44100, channels=2, engine="soxr")
    for block in blocks:
        out = resampler.feed(block)     # what is ready: at most `delay_frames` behind
    out = resampler.flush()             # the rest; then it can begin again

Two engines do the arithmetic. Both get the same stretches of the stream (quanta, counted from its
first frame), however it arrives. So neither the samples nor the number of frames that are ready
depends on how the stream was cut into blocks.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
import soxr

from streamer.audio import Samples

if TYPE_CHECKING:
    from streamer.settings import ResamplingEngine

# Images and aliases at -130 dB, flat to 0.01 dB at 20 kHz (bench/resample.py). VHQ's 17 dB more are
# below anything a 24 bit converter plays; it takes half as long again, up to twice the delay.
SOXR_QUALITY = "HQ"
SOXR_QUANTUM_FRAMES = 256
# libsoxr does not tell its longest delay. The delay repeats with the ratio, and this many frames of
# silence show all of it but rare coincidences, for which one quantum is added.
SOXR_TRIAL_FRAMES = 1 << 16


class Resampler(Protocol):
    """A stage that turns ``(frames, channels)`` float32 at one rate into the same at another."""

    @property
    def delay_frames(self) -> int:
        """The most output frames that `feed` is ever behind.

        After ``n`` input frames at least ``n * to_rate // from_rate - delay_frames`` have come out.
        """
        ...

    def feed(self, block: Samples) -> Samples:
        """Take any number of frames, return those that are ready (perhaps none)."""
        ...

    def flush(self) -> Samples:
        """End the stream and return the rest, `resampled_frames` in all; a new one can begin."""
        ...

    def reset(self) -> None:
        """Forget the stream; a new one can begin."""
        ...


def resampled_frames(frames: int, from_rate: int, to_rate: int) -> int:
    """Return how many frames ``frames`` become: the exact quotient, rounded up.

    This is the rule of `torchaudio.functional.resample`. With it the way there and back never
    makes the source shorter.
    """
    return -(-frames * to_rate // from_rate)


def make_resampler(
    from_rate: int, to_rate: int, channels: int, engine: ResamplingEngine
) -> Resampler:
    """Make a resampler between two rates in Hz; equal rates give a stage that does nothing.

    Raises:
        SettingsError: the torchaudio engine cannot do this ratio.
    """
    if from_rate == to_rate:
        return _Identity(channels)
    if engine == "soxr":
        return _Quantized(_Soxr(from_rate, to_rate, channels), from_rate, to_rate, channels)
    # torch takes seconds to import, so only who asks for this engine pays
    from streamer.models.torchaudio_resample import TorchaudioEngine

    return _Quantized(TorchaudioEngine(from_rate, to_rate, channels), from_rate, to_rate, channels)


class _Engine(Protocol):
    """Resamples one quantum after the other."""

    @property
    def quantum_frames(self) -> int:
        """How many frames `step` takes."""
        ...

    @property
    def worst_delay_frames(self) -> int:
        """The most output frames that are missing just before a `step`."""
        ...

    def step(self, quantum: Samples) -> Samples:
        """Take ``(quantum_frames, channels)``, return the frames that are now ready."""
        ...

    def reset(self) -> None:
        """Forget the stream."""
        ...


class _Identity:
    """The stage for equal rates: the very block that went in comes out."""

    delay_frames = 0

    def __init__(self, channels: int) -> None:
        self._nothing = np.zeros((0, channels), np.float32)

    def feed(self, block: Samples) -> Samples:
        return block

    def flush(self) -> Samples:
        return self._nothing

    def reset(self) -> None:
        """Do nothing: nothing was kept."""


class _Quantized:
    """An engine, fed in quanta that lie on an absolute grid."""

    def __init__(self, engine: _Engine, from_rate: int, to_rate: int, channels: int) -> None:
        self._engine = engine
        self._from_rate = from_rate
        self._to_rate = to_rate
        self._nothing = np.zeros((0, channels), np.float32)
        self._forget()

    def _forget(self) -> None:
        self._pending = self._nothing
        self._frames_in = 0
        self._frames_out = 0

    @property
    def delay_frames(self) -> int:
        return self._engine.worst_delay_frames

    def feed(self, block: Samples) -> Samples:
        assert block.dtype == np.float32
        assert block.shape[1:] == self._nothing.shape[1:], (block.shape, self._nothing.shape)
        self._frames_in += len(block)
        waiting = np.concatenate((self._pending, block)) if len(self._pending) else block
        quantum = self._engine.quantum_frames
        whole = len(waiting) // quantum * quantum
        ready = [self._engine.step(waiting[i : i + quantum]) for i in range(0, whole, quantum)]
        # a copy: the caller may reuse its block
        self._pending = waiting[whole:].copy()
        out = np.concatenate(ready) if ready else self._nothing
        self._frames_out += len(out)
        return out

    def flush(self) -> Samples:
        # the signal goes on as silence, for both engines, until the last frame has come out
        missing = resampled_frames(self._frames_in, self._from_rate, self._to_rate)
        missing -= self._frames_out
        quantum = np.zeros((self._engine.quantum_frames, *self._nothing.shape[1:]), np.float32)
        tail = [self._nothing]
        while sum(map(len, tail)) < missing:
            tail.append(self.feed(quantum))
        self.reset()
        return np.concatenate(tail)[: max(missing, 0)]

    def reset(self) -> None:
        self._engine.reset()
        self._forget()


class _Soxr:
    """libsoxr (R. Sibley), streaming: https://sourceforge.net/p/soxr/wiki/Home/."""

    quantum_frames = SOXR_QUANTUM_FRAMES

    def __init__(self, from_rate: int, to_rate: int, channels: int) -> None:
        self._rates = (from_rate, to_rate)
        self._stream = soxr.ResampleStream(from_rate, to_rate, channels, quality=SOXR_QUALITY)

    @property
    def worst_delay_frames(self) -> int:
        return _soxr_worst_delay(*self._rates)

    def step(self, quantum: Samples) -> Samples:
        out: Samples = self._stream.resample_chunk(quantum)
        return out

    def reset(self) -> None:
        self._stream.clear()


@lru_cache
def _soxr_worst_delay(from_rate: int, to_rate: int) -> int:
    """Measure libsoxr's longest delay in output frames, and add a quantum. Takes milliseconds."""
    stream = soxr.ResampleStream(from_rate, to_rate, 1, quality=SOXR_QUALITY)
    quantum = np.zeros((SOXR_QUANTUM_FRAMES, 1), np.float32)
    worst = produced = 0
    for fed in range(0, SOXR_TRIAL_FRAMES, SOXR_QUANTUM_FRAMES):
        before_the_step = fed + SOXR_QUANTUM_FRAMES - 1
        worst = max(worst, before_the_step * to_rate // from_rate - produced)
        produced += len(stream.resample_chunk(quantum))
    return worst + resampled_frames(SOXR_QUANTUM_FRAMES, from_rate, to_rate)
