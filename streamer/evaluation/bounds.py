"""Estimates without a model: three that any model must beat, and one that no mask can beat.

Each takes an excerpt and gives ``(stems, frames, 2)``, float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from streamer.audio import Samples
from streamer.errors import SettingsError
from streamer.evaluation.excerpts import Excerpt

STFT_FRAMES: Final = 2048
"""The windows of the oracle in SiSEC 2018: Hann, half overlapped."""


def silence(excerpt: Excerpt) -> Samples:
    """Return silence: 0 dB."""
    return np.zeros_like(excerpt.references)


def mixture(excerpt: Excerpt) -> Samples:
    """Return the mix for each stem."""
    return np.broadcast_to(excerpt.mixture, excerpt.references.shape)


def quarter(excerpt: Excerpt) -> Samples:
    """Return a quarter of the mix for each stem; four of them add up to the mix."""
    return mixture(excerpt) / np.float32(4)


def ideal_ratio_mask(excerpt: Excerpt) -> Samples:
    """Return the mix, masked with each stem's true share of the magnitudes.

    This is IRM1 of SiSEC 2018: each channel by itself, with the phase of the mix.

    Raises:
        SettingsError: scipy is missing.
    """
    try:
        from scipy.signal import istft, stft
    except ModuleNotFoundError:
        raise SettingsError(
            "the model irm needs the package scipy, which is not here; "
            "`pip install 'stemstream[train]'`"
        ) from None
    _, _, mix = stft(excerpt.mixture.T, nperseg=STFT_FRAMES)
    magnitudes = np.abs(stft(excerpt.references.transpose(0, 2, 1), nperseg=STFT_FRAMES)[2])
    total = magnitudes.sum(axis=0)
    masked = mix * magnitudes / np.where(total > 0, total, 1)
    _, estimates = istft(masked, nperseg=STFT_FRAMES)
    whole: Samples = estimates[..., : excerpt.frames].transpose(0, 2, 1).astype(np.float32)
    return whole


BOUNDS: Final[Mapping[str, Callable[[Excerpt], Samples]]] = {
    "silence": silence,
    "mixture": mixture,
    "mixture/4": quarter,
    "irm": ideal_ratio_mask,
}
"""The bounds by their names for `stemstream eval --model`."""
