"""The losses: how far the estimates are from the stems."""

from __future__ import annotations

from typing import Literal

import torch

LEAST_ERROR = 1e-3
"""A share of the mixture's power: errors 30 dB below that are small enough."""
LEAST_STEM = 1e-3
"""A share of the mixture's power: a stem below -30 dB counts as one at -30 dB."""
STFT_SIZES = (512, 1024, 2048, 4096)
COMPRESSION = 0.5
_FLOOR = 1e-7  # added to a power: at 0 the slope of a root is infinite


def stem_losses(
    estimates: torch.Tensor,
    stems: torch.Tensor,
    kind: Literal["l1", "sdr"] = "l1",
    stft_weight: float = 0.0,
) -> torch.Tensor:
    """Return the loss of each stem, ``(batch, stems)``.

    It is L1 on the waveform, as in Demucs, or `sdr_losses`, plus ``stft_weight`` times
    `spectral_losses`. Both arguments are ``(batch, stems, channels, frames)``.
    """
    if kind == "sdr":
        losses = sdr_losses(estimates, stems)
    else:
        losses = (estimates - stems).abs().mean(dim=(2, 3))
    if stft_weight:
        losses = losses + stft_weight * spectral_losses(estimates, stems)
    return losses


def sdr_losses(estimates: torch.Tensor, stems: torch.Tensor) -> torch.Tensor:
    """Return the negative SDR of each stem, in dB, ``(batch, stems)``.

    L1 leads to the median of what a stem could be. If the network is in doubt, the median is less
    than the mean, and the mean has the highest SDR. Two thresholds (`LEAST_ERROR`, `LEAST_STEM`)
    keep a perfect or a silent stem from outweighing the others: of the mixture, since the slope for
    a silent stem would grow without bounds as the error shrinks.
    """
    power = stems.square().mean(dim=(2, 3))
    mixture = stems.sum(1, keepdim=True).square().mean(dim=(2, 3))
    stem = power + LEAST_STEM * mixture + _FLOOR
    error = (estimates - stems).square().mean(dim=(2, 3)) + LEAST_ERROR * mixture + _FLOOR
    return 10 * torch.log10(error / stem)


def spectral_losses(estimates: torch.Tensor, stems: torch.Tensor) -> torch.Tensor:
    """Return L1 between square roots of magnitudes at several resolutions, ``(batch, stems)``.

    The root makes quiet sounds count, as in Braun and Tashev, "A consideration of
    speech enhancement loss functions", 2021.
    """
    total = torch.zeros(stems.shape[:2], device=stems.device)
    for size in STFT_SIZES:
        window = torch.hann_window(size, device=stems.device)
        compressed = [_compressed(each, size, window) for each in (estimates, stems)]
        total = total + (compressed[0] - compressed[1]).abs().mean(dim=(1, 2)).reshape(total.shape)
    return total / len(STFT_SIZES)


def _compressed(stems: torch.Tensor, size: int, window: torch.Tensor) -> torch.Tensor:
    """Return compressed magnitudes, ``(batch * stems, channels * bins, times)``."""
    signals = stems.float().flatten(0, -2)
    spectrum = torch.stft(
        signals, size, size // 4, window=window, normalized=True, return_complex=True
    )
    power = spectrum.real.square() + spectrum.imag.square()
    compressed = (power + _FLOOR).pow(COMPRESSION / 2)
    return compressed.reshape(stems.shape[0] * stems.shape[1], -1, compressed.shape[-1])


def mean_loss(losses: torch.Tensor, drop_highest: float = 0.0) -> torch.Tensor:
    """Return the mean of a batch's losses ``(batch, stems)`` without the highest ones.

    The highest losses often come from stems with a wrong label.
    """
    if not drop_highest:
        return losses.mean()
    kept = losses.numel() - dropped(losses.numel(), drop_highest)
    return losses.flatten().topk(kept, largest=False).values.mean()


def dropped(count: int, drop_highest: float) -> int:
    """Return how many of a batch's losses are left out."""
    return round(drop_highest * count)
