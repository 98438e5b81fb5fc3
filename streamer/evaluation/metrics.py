"""How close estimates are to the true stems: the two scores that papers give.

- `sdr`: the ratio of the MDX challenge, over a whole song at once [1].
- `bss_eval`: BSS Eval v4 [2], by the library museval: SDR, SIR and SAR of every second, with one
  distortion filter of 512 taps for the whole song. fast-bss-eval knows only version 3, of mono
  signals; SIR and SAR of a mono signal in one window are the same, and the tests compare them.
  SIR and SAR mean little if a codec has cut the references at 16 kHz and the estimates go on above:
  the filters have almost nothing to work with there (docs/evaluation.md).

Arrays are ``(stems, frames, channels)``, float32. A silent reference has no
ratio: it is NaN.

[1] Mitsufuji et al., "Music Demixing Challenge 2021", Frontiers in Signal Processing, 2022.
[2] Stöter, Liutkus, Ito, "The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamer.audio import Samples
from streamer.errors import SettingsError

Decibels = NDArray[np.float64]

MDX_EPSILON: Final = 1e-7
"""The challenge adds this to both energies."""
NOISE_DB: Final = -90.0
"""The level of white noise in BSS Eval's references, relative to each: about 16 bits."""
BSS_WINDOW_SECONDS: Final = 1.0
"""The windows of BSS Eval follow each other, as in SiSEC and in later papers."""


@dataclass(frozen=True, eq=False)
class BssEval:
    """The ratios in dB, each ``(stems, seconds)``.

    They are NaN in each second in which any stem is silent: museval leaves it out.
    """

    sdr: Decibels
    sir: Decibels
    sar: Decibels


def sdr(references: Samples, estimates: Samples) -> Decibels:
    """Return ``10 log10(sum s^2 / sum (s - e)^2)`` of each stem over all frames, ``(stems,)``, dB.

    Raises:
        SettingsError: the arrays differ in shape.
    """
    _check(references, estimates)
    error = references.astype(np.float64) - estimates
    signal_energy = np.square(references, dtype=np.float64).sum(axis=(1, 2))
    error_energy = np.square(error).sum(axis=(1, 2))
    ratios = 10 * np.log10((signal_energy + MDX_EPSILON) / (error_energy + MDX_EPSILON))
    return np.where(signal_energy > 0, ratios, np.nan)


def bss_eval(references: Samples, estimates: Samples, samplerate: int) -> BssEval:
    """Return SDR, SIR and SAR of each stem in each second.

    Stems with a silent reference are left out. If the estimate of another stem is silent from start
    to end, there is no ratio at all. An incomplete last second is not scored.

    Raises:
        SettingsError: the arrays differ in shape, or museval is missing.
    """
    _check(references, estimates)
    window = round(BSS_WINDOW_SECONDS * samplerate)
    stems, frames, _ = references.shape
    ratios = np.full((4, stems, frames // window), np.nan)
    audible = _audible(references)  # the others are in no mixture, so they disturb nothing
    if frames >= window and audible.any() and _audible(estimates)[audible].all():
        true = _with_noise(references[audible].astype(np.float64))
        estimated = estimates[audible].astype(np.float64)
        *by_museval, _ = _museval()(true, estimated, window=window, hop=window)
        ratios[:, audible] = by_museval
    return BssEval(sdr=ratios[0], sir=ratios[2], sar=ratios[3])


def _museval() -> Callable[..., tuple[Decibels, ...]]:
    # imported here: it takes a second, and SDR alone needs none of it
    try:
        from museval.metrics import bss_eval
    except ModuleNotFoundError:
        raise SettingsError(
            "BSS Eval needs the package museval, which is not here; "
            "`pip install 'stemstream[train]'`, or try --no-bss-eval"
        ) from None
    measure: Callable[..., tuple[Decibels, ...]] = bss_eval
    return measure


def _with_noise(stems: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return stems with a little noise, so that museval's equations have a solution.

    Without noise they have none if both channels are the same. Silence stays silent, so museval
    leaves out the same seconds.
    """
    noise = np.random.default_rng(0).standard_normal(stems.shape) * (stems != 0)
    power = np.square(stems).mean(axis=(1, 2), keepdims=True)
    noisy: NDArray[np.float64] = stems + noise * np.sqrt(power) * 10 ** (NOISE_DB / 20)
    return noisy


def _audible(stems: Samples) -> NDArray[np.bool_]:
    """Return for each stem whether it is a sound to museval."""
    return np.asarray(stems.sum(axis=2).any(axis=1))


def _check(references: Samples, estimates: Samples) -> None:
    if references.shape != estimates.shape or references.ndim != 3:
        raise SettingsError(
            f"references are {references.shape} and estimates {estimates.shape}; both must be the "
            "same (stems, frames, channels)"
        )
