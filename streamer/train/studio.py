"""What a studio does to a stem, and to a whole mix; each draws its random numbers from a generator.

A stem is ``(frames, channels)``. A mix is its stems, ``(stems, frames, channels)``: what is done to
it is done to each stem alike, so that the stems still add up to the mixture.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import ShortTimeFFT, lfilter
from scipy.signal.windows import hann

from streamer.audio import Samples
from streamer.files import open_source
from streamer.files.encode.file_sink import Encoding, FileSink
from streamer.pipeline.resample import make_resampler
from streamer.train.augment import AUGMENTATIONS, Augmentation, Generator, Warp

MixAugmentation: TypeAlias = Callable[[Samples, Generator, int], Samples]
_Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.floating[Any]]]

_FORMANTS: Final = 0.15
_PITCH_HERTZ: Final = 550.0
"""An envelope is smoother than the harmonics of a voice as high as this."""
_BITRATES: Final = (48, 64, 96, 128)


def shift_formants(stem: Samples, draw: Generator, samplerate: int) -> Samples:
    """Make another voice of one: move its formants by up to 15%, and leave its pitch.

    The envelope is the cepstrum's slow part (Oppenheim, "Speech analysis-synthesis system based on
    homomorphic filtering", 1969).
    """
    factor = 1 + draw.uniform(-_FORMANTS, _FORMANTS)
    frames, size = len(stem), 2 ** round(np.log2(0.046 * samplerate))
    transform = ShortTimeFFT(hann(size, sym=False), size // 4, samplerate)
    spectrum = transform.stft(stem.T)
    power = np.square(np.abs(spectrum)).mean(axis=0)
    cepstrum = np.fft.irfft(0.5 * np.log(power + 1e-9 * power.max() + 1e-30), axis=0)
    slow = int(samplerate / _PITCH_HERTZ)
    cepstrum[slow : len(cepstrum) - slow + 1] = 0
    envelope = np.fft.rfft(cepstrum, axis=0).real
    place = np.minimum(np.arange(len(envelope)) / factor, len(envelope) - 1.001)
    below, rest = place.astype(int), (place % 1)[:, np.newaxis]
    moved = envelope[below] * (1 - rest) + envelope[below + 1] * rest
    gain = np.exp(np.clip(moved - envelope, -2, 2))
    return _at_level_of(stem, transform.istft(spectrum * gain, k1=frames).T)


def drive(stem: Samples, draw: Generator, samplerate: int) -> Samples:  # noqa: ARG001
    """Overdrive a stem: a soft curve that its peaks bend into, at the level that it had."""
    level = np.sqrt(np.square(stem).mean()) or 1.0
    return _at_level_of(stem, np.tanh(stem / level * 10 ** (draw.uniform(-9, 9) / 20)))


def compress(stem: Samples, draw: Generator, samplerate: int) -> Samples:
    """Compress a stem 2:1 to 6:1 above a threshold under its mean level.

    A feed-forward design (Giannoulis, Massberg and Reiss, "Digital dynamic range compressor
    design", 2012).
    """
    ratio, threshold_db = draw.uniform(2, 6), draw.uniform(-12, -3)
    forget = np.exp(-1 / (draw.uniform(0.005, 0.08) * samplerate))
    power = np.square(stem).mean(axis=1)
    followed = lfilter([1 - forget], [1, -forget], power)
    over_db = 10 * np.log10(followed / (power.mean() or 1.0) + 1e-9) - threshold_db
    gain = 10 ** (-(1 - 1 / ratio) * np.maximum(over_db, 0) / 20)
    compressed: Samples = (stem * gain[:, np.newaxis]).astype(np.float32)
    return compressed


def double(stem: Samples, draw: Generator, samplerate: int) -> Samples:
    """Add a second take: 12 to 35 ms later, up to 15 cents off, 3 to 10 dB under the first."""
    second = Warp(semitones=draw.uniform(-0.15, 0.15))(stem, samplerate, len(stem))
    doubled, level = stem.copy(), np.float32(10 ** (draw.uniform(-10, -3) / 20))
    for channel in range(stem.shape[1]):
        delay = int(draw.uniform(0.012, 0.035) * samplerate)
        doubled[delay:, channel] += level * second[: len(stem) - delay, channel]
    return doubled


def widen(stem: Samples, draw: Generator, samplerate: int) -> Samples:  # noqa: ARG001
    """Make a stem wider or narrower: 0.3 to 1.8 times what its channels differ by."""
    middle: Samples = stem.mean(axis=1, keepdims=True)
    times = np.float32(np.exp(draw.uniform(np.log(0.3), np.log(1.8))))
    return middle + times * (stem - middle)


def encode(stem: Samples, draw: Generator, samplerate: int) -> Samples:
    """Send a stem through MP3 of 48 to 128 kb/s, as much music has been."""
    loudest = np.abs(stem).max()
    if not loudest:
        return stem
    level = np.float32(max(1.0, loudest / 0.99))
    encoding = Encoding("mp3", mp3_bitrate=int(draw.choice(_BITRATES)), mp3_preset=7)
    with tempfile.TemporaryDirectory(prefix="stem") as folder:
        path = Path(folder) / "stem.mp3"
        with FileSink(path, samplerate, stem.shape[1], encoding) as sink:
            sink.write(stem / level)
            sink.commit()
        with open_source(path) as source:
            # MP3 has no rate above 48 kHz, and few below
            back = make_resampler(source.samplerate, samplerate, stem.shape[1], "soxr")
            heard = np.concatenate([*map(back.feed, source.blocks()), back.flush()])[: len(stem)]
    return np.pad(heard, ((0, len(stem) - len(heard)), (0, 0))) * level


def limit(stems: Samples, draw: Generator, samplerate: int) -> Samples:
    """Take 3 to 9 dB off the peaks of a mix, as mastering does."""
    peaks = np.abs(stems.sum(axis=0)).max(axis=1)
    ceiling = peaks.max() * 10 ** (-draw.uniform(3, 9) / 20)
    needed = np.minimum(1, ceiling / np.maximum(peaks, 1e-9))
    width = 2 * int(draw.uniform(0.002, 0.03) * samplerate) + 1
    gain = uniform_filter1d(minimum_filter1d(needed, width), width)
    limited: Samples = (stems * gain[:, np.newaxis]).astype(np.float32)
    return limited


def begin_late(stems: Samples, draw: Generator, samplerate: int) -> Samples:
    """Have a mix begin in silence, for up to half of it: as each song does."""
    frames = stems.shape[1]
    silent, rise = int(draw.uniform(0.02, 0.5) * frames), max(1, int(0.01 * samplerate))
    gain = np.clip((np.arange(frames) - silent) / rise, 0, 1).astype(np.float32)
    return stems * gain[:, np.newaxis]


def _at_level_of(stem: Samples, varied: _Numbers) -> Samples:
    """Return what was made of a stem, as loud as that was (RMS)."""
    was, now = np.square(stem).mean(), np.square(varied).mean()
    level: Samples = (varied * np.sqrt(was / now if now else 0.0)).astype(np.float32)
    return level


STEM_VARIATIONS: Final[Mapping[str, Augmentation]] = {
    "formants": shift_formants,
    "drive": drive,
    "compressor": compress,
    "doubling": double,
    "width": widen,
    **AUGMENTATIONS,
    "codec": encode,
}
"""The variations of a single stem, in this order, by the settings' names."""

MIX_VARIATIONS: Final[Mapping[str, MixAugmentation]] = {"limiter": limit, "late_start": begin_late}
"""The variations of all stems together, in this order, by the settings' names."""
