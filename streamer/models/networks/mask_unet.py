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
from demucs.htdemucs import HTDemucs
from demucs.states import capture_init
from torch import nn
from torch.nn import functional as F  # noqa: N812 (everyone's name for it)

from streamer.models.networks.mask_shape import (
    BINS,
    COLUMNS,
    FFT,
    FLOOR,
    HOP,
    SCALE,
    mirrored,
)

WIDTHS: Final = (16, 32, 64, 128, 256)
BOTTLENECK: Final = 512
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

    _spec, _ispec = HTDemucs._spec, HTDemucs._ispec
    nfft, hop_length = FFT, HOP

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
        found = self.sources[:1] if rest else self.sources
        self.rest = rest
        self.unets = nn.ModuleList(UNet(audio_channels, bottleneck) for _ in found)

    def forward(self, mix: torch.Tensor) -> torch.Tensor:
        """Return the stems of ``(batch, channels, frames)``.

        Shape: ``(batch, stems, channels, frames)``.
        """
        spectrum = self._spec(mix)
        columns = spectrum.shape[-1]
        rms = mix.square().mean((1, 2), keepdim=True).sqrt() + FLOOR
        # Demucs's transforms are computed on the CPU where a device has no complex numbers
        order = torch.tensor(mirrored(columns)).to(spectrum.device)
        magnitudes = spectrum[..., :BINS, :].abs().index_select(-1, order).to(mix.device)
        masks = self.masks((magnitudes * (SCALE / rms)[..., None]).transpose(2, 3))
        masks = masks.transpose(3, 4)[..., :columns].to(spectrum.device)
        stems: torch.Tensor = self._ispec(masks * spectrum[:, None], mix.shape[-1])
        return stems.to(mix.device)

    def masks(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the stems' masks, of magnitudes ``(batch, channels, columns, BINS)``.

        These have the level of `LEVEL_RMS`, and the columns that `mirrored` gives. The masks are
        ``(batch, stems, channels, columns, FFT / 2)``.
        """
        shares = torch.stack([unet(seen).to(seen) for unet in self.unets], 1)
        if self.rest:
            masks = shares**REST_POWER
            masks = torch.cat([masks, 1 - masks], 1)
        else:
            power = (shares * seen[:, None]).square() + FLOOR / len(self.sources)
            masks = power / power.sum(1, keepdim=True)
        above = masks.mean(4, keepdim=True).expand(-1, -1, -1, -1, FFT // 2 - BINS)
        return torch.cat([masks, above], 4)
