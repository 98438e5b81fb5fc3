"""The Fourier transforms at both ends of HTDemucs, without torch: those of numpy.

They equal `demucs.htdemucs.HTDemucs._spec` and ``_ispec``: a Hann window, a hop of a quarter of it,
`torch.stft`'s ``normalized``, and as many columns as hops, so that column t is about frames
``t * hop`` to ``(t + 1) * hop``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.audio import Samples

Spectra = NDArray[np.complex64]

_OVERLAP = 4
_WINDOWS_SQUARED = 1.5  # what squared Hann windows add up to with a hop of a quarter
_FLOOR = 1e-3
"""A share of the mean magnitude: smaller values, such as rounding errors, make no difference."""
_LEAST = 1e-8
_CHUNK_COLUMNS = 64  # at a time: so they are in the processor's cache when they are added
_CHUNK_VALUES = 8192


class Spectrum:
    """Both transforms, with windows of ``fft_frames``; ``threads`` share the inverse."""

    def __init__(self, fft_frames: int, threads: int) -> None:
        assert fft_frames % _OVERLAP == 0
        self.hop_frames = fft_frames // _OVERLAP
        self._fft_frames = fft_frames
        phase = 2 * np.pi * np.arange(fft_frames) / fft_frames
        hann = 0.5 - 0.5 * np.cos(phase)
        scale = np.sqrt(fft_frames)
        self._analysis = (hann / scale).astype(np.float32)
        self._synthesis = (hann * scale / _WINDOWS_SQUARED).astype(np.float32)
        self._pad_frames = self.hop_frames // 2 * 3
        self._pool = ThreadPoolExecutor(threads, "stemstream-spectrum")

    def forward(self, mix: Samples, out: Spectra | None = None) -> Spectra:
        """Turn ``(channels, frames)`` into ``(channels, columns, fft_frames / 2)``, in ``out``.

        The highest frequency is left out, as Demucs does.
        """
        frames = mix.shape[-1]
        columns = -(-frames // self.hop_frames)
        left, right = self._pad_frames, self._pad_frames + columns * self.hop_frames - frames
        # too little to mirror: silence makes it enough, as in `demucs.hdemucs.pad1d`
        lacking = max(0, right - frames + 1)
        after = min(right, lacking)
        before = lacking - after
        if lacking:
            mix = np.pad(mix, ((0, 0), (before, after)))
        padded = np.pad(mix, ((0, 0), (left - before, right - after)), mode="reflect")
        view = np.lib.stride_tricks.sliding_window_view(padded, self._fft_frames, axis=-1)
        cuts = view[:, :: self.hop_frames]
        if out is None:
            out = np.empty((*cuts.shape[:2], self._fft_frames // 2), np.complex64)
        for begin in range(0, columns, _CHUNK_COLUMNS):
            part = slice(begin, begin + _CHUNK_COLUMNS)
            out[:, part] = np.fft.rfft(cuts[:, part] * self._analysis)[..., :-1]
        return out

    def inverse(self, spectra: Spectra, frames: int, masks: Samples | None = None) -> Samples:
        """Turn ``(channels, columns, fft_frames / 2)`` into ``(channels, frames)``.

        With masks, ``(stems * channels, columns, fft_frames / 2)``, it turns the product with each
        into ``(stems * channels, frames)``. Before the first column and after the last there is
        silence.
        """
        rows = len(spectra) if masks is None else len(masks)
        columns = spectra.shape[1]
        added = np.zeros((rows, (columns + _OVERLAP - 1) * self.hop_frames), np.float32)
        masked = [None] * rows if masks is None else masks
        sources = (spectra[row % len(spectra)] for row in range(rows))
        done: Iterable[None] = self._pool.map(self._add, sources, masked, added)
        for _ in done:
            pass
        return added[:, self._pad_frames : self._pad_frames + frames]

    def _add(self, spectra: Spectra, masks: Samples | None, added: Samples) -> None:
        hops = added.reshape(-1, self.hop_frames)
        for begin in range(0, len(spectra), _CHUNK_COLUMNS):
            part = spectra[begin : begin + _CHUNK_COLUMNS]
            if masks is not None:
                part = part * masks[begin : begin + len(part)]
            sound = np.fft.irfft(part, self._fft_frames)
            chunk: Samples = sound.astype(np.float32, copy=False)  # of numpy before 2 it is double
            chunk *= self._synthesis
            quarters = chunk.reshape(len(chunk), _OVERLAP, self.hop_frames)
            for late in reversed(range(_OVERLAP)):  # in the order of the columns
                hops[begin + late : begin + late + len(chunk)] += quarters[:, late]


def low_delay_windows(fft_frames: int, hop_frames: int) -> tuple[Samples, Samples]:
    """Return the analysis window, ``fft_frames`` long, and the synthesis window of its end.

    That is two hops long, and their product is a Hann window, so that hops add up to 1 (Mauler and
    Martin, "A low delay, variable resolution, perfect reconstruction spectral analysis-synthesis
    system", 2007).
    """
    long = fft_frames - hop_frames
    rise = np.sin(np.pi / 2 * np.arange(long) / long)
    fall = np.cos(np.pi / 2 * np.arange(hop_frames) / hop_frames)
    analysis = np.concatenate([rise, fall])
    hann = np.sin(np.pi * np.arange(2 * hop_frames) / (2 * hop_frames)) ** 2
    synthesis = hann / np.maximum(analysis[-2 * hop_frames :], 1e-9)
    return analysis.astype(np.float32), synthesis.astype(np.float32)


def compressed(magnitude: Any, mean: Any) -> Any:
    """Return the square root of magnitudes relative to their mean; arrays of numpy or torch."""
    return (magnitude / (mean + _LEAST) + _FLOOR) ** 0.5


def level(values: Samples) -> tuple[float, float]:
    """Return the mean of an array and its deviation (as of a sample: over n - 1)."""
    flat, total, squares = values.reshape(-1), 0.0, 0.0
    for begin in range(0, flat.size, _CHUNK_VALUES):
        wide = flat[begin : begin + _CHUNK_VALUES].astype(np.float64)
        total += float(wide.sum())
        squares += float(np.dot(wide, wide))
    mean = total / flat.size
    return mean, math.sqrt(max(squares - total * mean, 0.0) / (flat.size - 1))
