"""Compare resamplers: pass-band ripple, images, aliases, delay, speed. Under a minute.

    python bench/resample.py [--repeats 3]

Every converter gets float32, as in the engine, and tones. Of those up to 20 kHz, ripple is the gain
at the tone's own frequency (a least squares fit), and images are everything else that came out. Of
those above the new Nyquist frequency all that comes out is alias; "heard" are those that land under
20 kHz. Rejections are positive dB. Delay is what a stream waits for; both ways add up.
Speed is for stereo on one core, as a multiple of real time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import julius
import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from streamer.audio import Samples
from streamer.live.realtime.hop_resampler import conversion, frames_ahead, frames_made, make, take
from streamer.models.torchaudio_resample import KAISER_BEST, load_torchaudio
from streamer.pipeline.resample import make_resampler

torchaudio = load_torchaudio()

Convert = Callable[[Samples, int, int], Samples]
RATES = [(44100, 48000), (48000, 44100), (96000, 44100), (44100, 96000)]
HEARD_HZ = 20000.0
TONE_DB = -6.0
TONE_SECONDS = 0.4
SPEED_SECONDS = 20
BLOCK_FRAMES = 512
MARGIN_SECONDS = 0.05  # both ends are cut off: there filters see silence


def tensors(function: Callable[..., torch.Tensor]) -> Convert:
    def convert(x: Samples, from_rate: int, to_rate: int) -> Samples:
        out: Samples = function(torch.from_numpy(x.T.copy()), from_rate, to_rate).numpy().T
        return out

    return convert


def streamed(engine: str) -> Convert:
    def convert(x: Samples, from_rate: int, to_rate: int) -> Samples:
        resampler = make_resampler(from_rate, to_rate, x.shape[1], engine)
        return np.concatenate((resampler.feed(x), resampler.flush()))

    return convert


def in_blocks(x: Samples, from_rate: int, to_rate: int) -> Samples:
    """As the native engine does it, before a hop and after."""
    c = conversion(from_rate, to_rate, x.shape[1], BLOCK_FRAMES)
    out = np.zeros((frames_made(c, len(x)), x.shape[1]), np.float32)
    done = 0
    for end in range(BLOCK_FRAMES, len(x) + 1, BLOCK_FRAMES):
        take(c, x[end - BLOCK_FRAMES : end], BLOCK_FRAMES)
        ready = frames_made(c, end)
        make(c, end, done, out[done:], ready - done)
        done = ready
    return out[:done]


LIBRARIES: dict[str, Convert] = {
    "soxr HQ": partial(soxr.resample, quality="HQ"),
    "soxr VHQ": partial(soxr.resample, quality="VHQ"),
    "torchaudio Hann": tensors(torchaudio.functional.resample),
    "torchaudio kaiser-best": tensors(partial(torchaudio.functional.resample, **KAISER_BEST)),
    "julius": tensors(julius.resample_frac),
}
CONVERTERS = LIBRARIES | {
    "our soxr stage": streamed("soxr"),
    "our torchaudio stage": streamed("torchaudio"),
    "native engine": in_blocks,
}
DELAYS: dict[str, Callable[[int, int], float]] = {
    "our soxr stage": lambda *rates: make_resampler(*rates, 1, "soxr").delay_frames / rates[1],
    "our torchaudio stage": lambda *rates: (
        make_resampler(*rates, 1, "torchaudio").delay_frames / rates[1]
    ),
    "native engine": lambda *rates: frames_ahead(*rates) / rates[0],
}
"""Seconds; the libraries get a whole signal."""


def tones(frequencies: NDArray[np.float64], rate: int) -> Samples:
    """One tone a channel, (frames, tones)."""
    seconds = np.arange(round(TONE_SECONDS * rate)) / rate
    phases = 2 * np.pi * seconds[:, np.newaxis] * frequencies
    return (10 ** (TONE_DB / 20) * np.sin(phases)).astype(np.float32)


def middle(signal: Samples, rate: int) -> NDArray[np.float64]:
    margin = round(MARGIN_SECONDS * rate)
    return signal[margin:-margin].astype(np.float64)


def decibels(ratio: float) -> float:
    return float(20 * np.log10(max(ratio, 1e-12)))


@dataclass
class Quality:
    """Ripple in dB, the rest in dB of rejection; None where the rates leave nothing to reject."""

    ripple: float
    images: float
    aliases: float | None = None
    heard_aliases: float | None = None

    def transparent(self) -> bool:
        """Whether 20 bits can be heard through it."""
        rejections = [self.images, self.aliases]
        return self.ripple < 0.01 and all(one is None or one > 120 for one in rejections)


def quality(convert: Convert, from_rate: int, to_rate: int) -> Quality:
    in_band = np.concatenate([np.geomspace(20, 19000, 30), np.linspace(19100, HEARD_HZ, 10)])
    out = middle(convert(tones(in_band, from_rate), from_rate, to_rate), to_rate)
    seconds = np.arange(len(out)) / to_rate
    gains, images = [], []
    for frequency, channel in zip(in_band, out.T, strict=True):
        phases = 2 * np.pi * frequency * seconds
        basis = np.column_stack([np.sin(phases), np.cos(phases)])
        fit = np.linalg.lstsq(basis, channel, rcond=None)[0]
        gains.append(decibels(float(np.hypot(*fit)) / 10 ** (TONE_DB / 20)))
        images.append(rejection(channel - basis @ fit))
    measured = Quality(max(map(abs, gains)), min(images))
    if to_rate < from_rate:
        above = np.linspace(to_rate / 2 * 1.001, from_rate / 2 * 0.999, 60)
        out = middle(convert(tones(above, from_rate), from_rate, to_rate), to_rate)
        measured.aliases = min(map(rejection, out.T))
        heard = np.abs(above - to_rate * np.round(above / to_rate)) <= HEARD_HZ
        if heard.any():
            measured.heard_aliases = min(map(rejection, out.T[heard]))
    return measured


def rejection(rest: NDArray[np.float64]) -> float:
    return -decibels(float(np.std(rest)) / (10 ** (TONE_DB / 20) / np.sqrt(2)))


def speeds(from_rate: int, to_rate: int, repeats: int) -> dict[str, float]:
    """Return multiples of real time: the best of alternating runs."""
    shape = (SPEED_SECONDS * from_rate, 2)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, shape).astype(np.float32)
    best = dict.fromkeys(CONVERTERS, np.inf)
    for _ in range(repeats):
        for name, convert in CONVERTERS.items():
            start = time.perf_counter()
            convert(noise, from_rate, to_rate)
            best[name] = min(best[name], time.perf_counter() - start)
    return {name: SPEED_SECONDS / seconds for name, seconds in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=4, help="timed runs each (default 4)")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print(
        "| rates | converter | ripple dB | images dB | aliases dB | heard dB | delay ms | speed |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    transparent = dict.fromkeys(CONVERTERS, True)
    slowest = dict.fromkeys(CONVERTERS, np.inf)
    for from_rate, to_rate in RATES:
        speed = speeds(from_rate, to_rate, repeats)
        for name, convert in CONVERTERS.items():
            is_ = quality(convert, from_rate, to_rate)
            rejections = [is_.images, is_.aliases, is_.heard_aliases]
            words = " | ".join("-" if one is None else f"{one:.0f}" for one in rejections)
            delay = f"{1000 * DELAYS[name](from_rate, to_rate):.1f}" if name in DELAYS else "-"
            print(
                f"| {from_rate} -> {to_rate} | {name} | {is_.ripple:.4f} | {words} "
                f"| {delay} | {speed[name]:.0f}x |"
            )
            transparent[name] &= is_.transparent()
            slowest[name] = min(slowest[name], speed[name])
    good = [name for name in LIBRARIES if transparent[name]]
    winner = max(good, key=slowest.__getitem__, default="none")
    print(f"\nUnder 0.01 dB ripple and 120 dB down everywhere: {', '.join(good) or 'none'}.")
    print(f"The fastest of them wins: {winner}.")


if __name__ == "__main__":
    main()
