"""A causal network for live stems: they come 1024 frames (23 ms) after the sound.

::

    frames -> spectrum -> bands -> [ over time -> over bands -> mixed ] x depth -> masks -> frames

Every `HOP` frames it takes the spectrum of the last `FFT` frames and masks it; the end of the
result is used. The analysis window is long and falls steeply, so low frequencies are resolved. The
synthesis window is as short as that fall, so the delay is short (`spectrum.low_delay_windows`).

The bands are those of band-split networks (Luo and Yu, "Music source separation with band-split
RNN", 2023), the memory is the gated linear recurrence of De and others, "Griffin", 2024, whose
state cannot grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from demucs.states import capture_init
from torch import nn
from torch.nn import functional as F  # noqa: N812 (everyone's name for it)

from streamer.models.networks.causal_layers import BandLinear, Layer
from streamer.models.networks.causal_shape import (
    BAND_HEADS,
    BANDS,
    COMPRESSION,
    FFT,
    GROUPS,
    HOP,
    LEVEL_RMS,
    MASK_FLOOR,
    POWER_FLOOR,
    TAPS,
)
from streamer.models.networks.spectrum import low_delay_windows
from streamer.models.separator import Stride


@dataclass
class Memory:
    """What the layers remember from one spectrum to the next.

    ``taps`` and ``memories`` are of each layer over time, ``(times, batch * bands, width)`` and
    ``(batch * bands, width)``.
    """

    taps: list[torch.Tensor]
    memories: list[torch.Tensor]


@dataclass
class StreamState(Memory):
    """The memory of a `CausalBandSplit` from one call to the next.

    ``heard`` are the last ``FFT - HOP`` frames, ``(batch, channels, frames)``; the next hop is
    added to ``tail``, ``(batch, stems, channels, HOP)``.
    """

    heard: torch.Tensor
    tail: torch.Tensor


class CausalBandSplit(nn.Module):
    """Separates a stream as it comes, and a whole song the same way.

    Args:
        sources: the stems' names.
        width: features of a band, a multiple of 8.
        depth: how many layers it has; each looks over time, over bands, and mixes features.
        hidden: features from which the masks of a band are made.
        audio_channels: channels of the mixture and of each stem.
        samplerate: in Hz.
        segment: seconds that `demucs.apply.apply_model` shows it at a time.
    """

    stride: ClassVar = Stride(HOP, HOP)
    fall: ClassVar = HOP
    """The frames in which the analysis window falls."""

    _analysis: torch.Tensor
    _synthesis: torch.Tensor

    @capture_init  # type: ignore[untyped-decorator]
    def __init__(
        self,
        sources: Sequence[str],
        width: int = 96,
        depth: int = 3,
        hidden: int = 128,
        audio_channels: int = 2,
        samplerate: int = 44100,
        segment: float = 10.0,
    ) -> None:
        if width % BAND_HEADS:
            raise ValueError(f"width={width} must be a multiple of {BAND_HEADS}")
        super().__init__()
        self.sources = list(sources)
        self.audio_channels = audio_channels
        self.samplerate = samplerate
        self.segment = segment
        self.stream_stride = self.stride
        self.level_rms = LEVEL_RMS
        self.nfft = FFT  # as Demucs's classes call it
        self._width = width
        analysis, synthesis = map(torch.from_numpy, low_delay_windows(FFT, self.fall))
        self.register_buffer("_analysis", analysis, persistent=False)
        self.register_buffer("_synthesis", synthesis, persistent=False)
        parts = 2 * audio_channels  # real and imaginary
        self.encoders = nn.ModuleList(
            BandLinear(group.bands, group.width * parts, width) for group in GROUPS
        )
        self.band = nn.Parameter(torch.zeros(BANDS, width))
        self.layers = nn.ModuleList(Layer(width, BANDS) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.hidden = BandLinear(BANDS, width, 2 * hidden)
        self.masks = nn.ModuleList(
            BandLinear(group.bands, hidden, group.points * parts * len(sources)) for group in GROUPS
        )

    def forward(self, mix: torch.Tensor) -> torch.Tensor:
        """Return the stems of ``(batch, channels, frames)``, without the delay.

        Shape: ``(batch, stems, channels, frames)``.
        """
        frames = mix.shape[-1]
        hops = -(-frames // HOP) + 1
        whole = F.pad(mix, (0, hops * HOP - frames))
        stems = self.step(whole, self.initial_state(len(mix), mix.device))
        return stems[..., HOP : HOP + frames]

    def initial_state(self, batch: int, device: torch.device | str = "cpu") -> StreamState:
        """Return the empty memory of a new stream."""
        memory, channels = self._empty(batch, device), self.audio_channels
        return StreamState(
            memory.taps,
            memory.memories,
            heard=torch.zeros(batch, channels, FFT - HOP, device=device),
            tail=torch.zeros(batch, len(self.sources), channels, HOP, device=device),
        )

    def _empty(self, batch: int, device: torch.device | str) -> Memory:
        rows = batch * BANDS
        return Memory(
            [torch.zeros(TAPS - 1, rows, self._width, device=device) for _ in self.layers],
            [torch.zeros(rows, self._width, device=device) for _ in self.layers],
        )

    def step(self, frames: torch.Tensor, state: StreamState) -> torch.Tensor:
        """Take whole hops, ``(batch, channels, frames)``; return the stems of as many frames.

        These belong to the frames `HOP` earlier. ``state`` is updated.
        """
        heard = torch.cat([state.heard, frames], dim=-1)
        state.heard = heard[..., -(FFT - HOP) :]
        spectrum = torch.fft.rfft(heard.unfold(-1, FFT, HOP) * self._analysis)
        masks = torch.view_as_complex(self.masks_of(torch.view_as_real(spectrum), state))
        masked = masks * spectrum[:, None]
        ends = torch.fft.irfft(masked)[..., -2 * HOP :] * self._synthesis
        rising, falling = ends[..., :HOP], ends[..., HOP:]
        added = rising + torch.cat([state.tail[..., None, :], falling[..., :-1, :]], dim=-2)
        state.tail = falling[..., -1, :]
        stems: torch.Tensor = added.flatten(-2)
        return stems

    def masks_of(self, spectrum: torch.Tensor, state: Memory) -> torch.Tensor:
        """Return masks that add up to 1, ``(batch, stems, channels, times, bins, 2)``.

        ``spectrum`` is ``(batch, channels, times, bins, 2)``; the last are real and imaginary part.
        ``state`` is updated.
        """
        x = self._encoded(spectrum)
        for index, layer in enumerate(self.layers):
            x, state.taps[index], state.memories[index] = layer(
                x, state.taps[index], state.memories[index]
            )
        times, batch = x.shape[:2]
        hidden = F.glu(self.hidden(self.norm(x).flatten(0, 1)))
        points, first = [], 0
        for group, head in zip(GROUPS, self.masks, strict=True):
            made = head(hidden[:, first : first + group.bands])
            points.append(made.reshape(times * batch, group.bands * group.points, -1))
            first += group.bands
        shape = (times, batch, -1, len(self.sources), self.audio_channels, 2)
        parts = torch.cat(points, dim=1).float().reshape(shape).permute(1, 3, 4, 0, 2, 5)
        return _of_bins(_adding_up(parts.contiguous()))

    def _encoded(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return the bands of a spectrum, ``(times, batch, bands, width)``."""
        power = spectrum.square().sum(-1, keepdim=True) + POWER_FLOOR
        parts = spectrum * power.pow((COMPRESSION - 1) / 2)
        parts = parts.permute(2, 0, 3, 1, 4).flatten(3)
        times, batch = parts.shape[:2]
        bands, first = [], 0
        for group, encoder in zip(GROUPS, self.encoders, strict=True):
            last = first + group.bands * group.width
            bins = parts[:, :, first:last].reshape(times * batch, group.bands, -1)
            bands.append(encoder(bins))
            first = last
        return torch.cat(bands, dim=1).reshape(times, batch, BANDS, -1) + self.band


def _adding_up(masks: torch.Tensor) -> torch.Tensor:
    """Make masks ``(batch, stems, ..., 2)`` add up to 1: share the rest by the masks' power."""
    power = masks.square().sum(-1, keepdim=True) + MASK_FLOOR
    one = torch.tensor([1.0, 0.0], device=masks.device)
    lacking = one - masks.sum(dim=1, keepdim=True)
    return masks + lacking * (power / power.sum(dim=1, keepdim=True))


def _of_bins(points: torch.Tensor) -> torch.Tensor:
    """Return the masks of all bins, ``(..., bins, 2)``, from those of the groups' points."""
    counts = [group.bands * group.points for group in GROUPS]
    bins = [
        part.unsqueeze(-2).expand(*part.shape[:-1], group.width // group.points, 2).flatten(-3, -2)
        for group, part in zip(GROUPS, torch.split(points, counts, dim=-2), strict=True)
    ]
    return torch.cat(bins, dim=-2)
