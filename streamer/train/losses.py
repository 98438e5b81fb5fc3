"""What is made small: how far the estimates are from the stems."""

from __future__ import annotations

from typing import Literal

import torch

LEAST_ERROR = 1e-3
"""Of a stem's power: what is nearer to it than 30 dB is not pressed any further."""
LEAST_STEM = 1e-3
"""Of the mixture's power: a stem below -30 dB of it counts as one of -30 dB."""
STFT_SIZES = (512, 1024, 2048, 4096)
COMPRESSION = 0.5
_FLOOR = 1e-7  # of a power: where nothing is, the slope of a root has no end


def stem_losses(
    estimates: torch.Tensor,
    stems: torch.Tensor,
    kind: Literal["l1", "sdr"] = "l1",
    stft_weight: float = 0.0,
) -> torch.Tensor:
    """Return the loss of each stem, ``(batch, stems)``.

    It is L1 on the waveform, as Demucs has it, or `sdr_losses`, plus ``stft_weight`` times
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
    """Return the SDR of each stem with its sign turned, in dB, ``(batch, stems)``.

    L1 asks for the median of what a stem could be, which is less than its mean where the network
    is in doubt; the SDR is highest for the mean. Between two thresholds (`LEAST_ERROR`,
    `LEAST_STEM`), so that neither a perfect nor a silent stem outweighs the others.
    """
    power = stems.square().mean(dim=(2, 3))
    mixture = stems.sum(1, keepdim=True).square().mean(dim=(2, 3))
    stem = power + LEAST_STEM * mixture + _FLOOR
    error = (estimates - stems).square().mean(dim=(2, 3)) + LEAST_ERROR * stem
    return 10 * torch.log10(error / stem)


def spectral_losses(estimates: torch.Tensor, stems: torch.Tensor) -> torch.Tensor:
    """Return L1 between square roots of magnitudes at several resolutions, ``(batch, stems)``.

    The root makes what is quiet count, as in Braun and Tashev, "A consideration of
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
    """Return the mean of a batch's losses ``(batch, stems)`` without the highest share of them.

    What has the highest loss is often what was labelled wrong.
    """
    if not drop_highest:
        return losses.mean()
    kept = losses.numel() - round(drop_highest * losses.numel())
    return losses.flatten().topk(kept, largest=False).values.mean()
