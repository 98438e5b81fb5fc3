"""Spleeter: a U-Net for each stem, whose squared outputs share out the mixture's spectrum.

::

    frames -> magnitudes -> U-Net of each stem -> squares -> masks -> frames

Or one U-Net finds a stem, and what it leaves is the other one. Hennequin and others, "Spleeter: a
fast and efficient music source separation tool with pre-trained models", 2020.
`recipes/spleeter.py` fetches its weights for two stems, vocals and the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import torch
from demucs.states import capture_init
from torch import nn
from torch.nn import functional as F  # noqa: N812 (everyone's name for it)

FFT: Final = 4096
HOP: Final = FFT // 4
BINS: Final = 1024
"""What the networks see of a spectrum: up to 11 kHz. The rest follows the mean of their masks."""
COLUMNS: Final = 512
"""How many spectra they were trained on at a time."""
WIDTHS: Final = (16, 32, 64, 128, 256)
BOTTLENECK: Final = 512
HALVED: Final = 1 << (len(WIDTHS) + 1)
"""They halve columns and bins so often that both must be multiples of this."""
LEVEL_RMS: Final = 0.15
"""About the level of released music, from which they learnt."""
FLOOR: Final = 1e-10
REST_POWER: Final = 1.5
"""What is made of a share where it decides alone. Of 1 to 2.5 this gave the best median SDR of the
vocals of the 85 songs that `htdemucs_mini` was trained on."""


class UNet(nn.Module):
    """Returns how much of the mixture's magnitudes belongs to one stem, between 0 and 1.

    Both are ``(batch, channels, columns, bins)``, columns and bins multiples of `HALVED`.
    ``bottleneck`` channels are where it is narrowest in time.
    """

    def __init__(self, channels: int, bottleneck: int = BOTTLENECK) -> None:
        super().__init__()
        widths = (*WIDTHS, bottleneck)
        downs, ups = (channels, *WIDTHS), (*reversed(WIDTHS), 1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 5, 2) for a, b in zip(downs, widths, strict=True))
        self.down_norm = nn.ModuleList(nn.BatchNorm2d(width, eps=1e-3) for width in WIDTHS)
        seen = (bottleneck, *(2 * width for width in ups[:-1]))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 5, 2) for a, b in zip(seen, ups, strict=True)
        )
        self.up_norm = nn.ModuleList(nn.BatchNorm2d(width, eps=1e-3) for width in ups)
        self.last = nn.Conv2d(1, channels, 4, dilation=2, padding=3)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return the stem's share."""
        x, heard = magnitudes, []
        for convolution, norm in zip(self.down, (*self.down_norm, None), strict=True):
            x = convolution(F.pad(x, (1, 2, 1, 2)))
            heard.append(x)
            if norm is not None:
                x = F.leaky_relu(norm(x), 0.2)
        x = heard.pop()
        for convolution, norm in zip(self.up, self.up_norm, strict=True):
            x = norm(F.relu(convolution(x)[..., 1:-2, 1:-2]))
            if heard:
                x = torch.cat([heard.pop(), x], 1)
        share: torch.Tensor = torch.sigmoid(self.last(x))
        return share


class MaskUNets(nn.Module):
    """Separates a window by masks that add up to 1; silence gives silence.

    Level makes no difference: each window is brought to `LEVEL_RMS` before the networks look at it.

    Args:
        sources: the stems' names.
        audio_channels: channels of the mixture and of each stem.
        samplerate: in Hz.
        segment: seconds that `demucs.apply.apply_model` shows it at a time.
        bottleneck: see `UNet`.
        rest: the second of two stems has no network: it is what the first one leaves.
    """

    _window: torch.Tensor

    @capture_init  # type: ignore[untyped-decorator]
    def __init__(
        self,
        sources: Sequence[str],
        audio_channels: int = 2,
        samplerate: int = 44100,
        segment: float | Fraction = Fraction(COLUMNS * HOP, 44100),
        bottleneck: int = BOTTLENECK,
        rest: bool = False,
    ) -> None:
        super().__init__()
        if rest and len(sources) != 2:
            raise ValueError("rest needs two sources")
        self.sources = list(sources)
        self.audio_channels = audio_channels
        self.samplerate = samplerate
        self.segment = segment
        self.nfft = FFT  # as Demucs's classes call it
        self.register_buffer("_window", torch.hann_window(FFT), persistent=False)
        found = self.sources[:1] if rest else self.sources
        self.rest = rest
        self.unets = nn.ModuleList(UNet(audio_channels, bottleneck) for _ in found)

    def forward(self, mix: torch.Tensor) -> torch.Tensor:
        """Return the stems of ``(batch, channels, frames)``.

        Shape: ``(batch, stems, channels, frames)``.
        """
        batch, channels, frames = mix.shape
        spectrum = torch.stft(
            mix.reshape(-1, frames), FFT, HOP, window=self._window, pad_mode="constant",
            return_complex=True,
        ).reshape(batch, channels, FFT // 2 + 1, -1)  # fmt: skip
        rms = mix.square().mean((1, 2), keepdim=True).sqrt() + FLOOR
        masks = self._masks(spectrum.abs() * (LEVEL_RMS / rms)[..., None])
        stems = torch.istft(
            (masks * spectrum[:, None]).flatten(0, 2), FFT, HOP, window=self._window, length=frames
        )
        return stems.reshape(batch, len(self.sources), channels, frames)

    def _masks(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return the stems' masks of magnitudes ``(batch, channels, bins, columns)``."""
        bins, columns = magnitudes.shape[-2:]
        seen = magnitudes[..., :BINS, _mirrored(columns, magnitudes.device)].transpose(2, 3)
        shares = torch.stack([unet(seen).to(seen) for unet in self.unets], 1)
        if self.rest:
            masks = shares**REST_POWER
            masks = torch.cat([masks, 1 - masks], 1)
        else:
            power = (shares * seen[:, None]).square() + FLOOR / len(self.sources)
            masks = power / power.sum(1, keepdim=True)
        masks = masks.transpose(3, 4)[..., :columns]
        above = masks.mean(3, keepdim=True).expand(-1, -1, -1, bins - BINS, -1)
        return torch.cat([masks, above], 3)


def _mirrored(columns: int, device: torch.device) -> torch.Tensor:
    """Return which columns are seen: a multiple of `HALVED`, after the last one backwards.

    In front of silence, which they never heard in the middle of a song, the networks lose the last
    half second. That is what a live window plays.
    """
    seen = torch.arange(columns + -columns % HALVED, device=device)
    last = max(1, columns - 1)
    return (last - (seen % (2 * last) - last).abs()).clamp(max=columns - 1)
