"""The layers of the causal network: over time, over bands, and over the features of a band."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 (everyone's name for it)

from streamer.models.networks.causal_shape import BAND_HEADS, SHARPNESS, TAPS, TIME_HEADS
from streamer.models.networks.recurrence import recur

_SHORTEST_MEMORY: Final = 2.0  # in hops
_LONGEST_MEMORY: Final = 120.0


class Layer(nn.Module):
    """One look over time, over bands, and at the features of each band."""

    def __init__(self, width: int, bands: int) -> None:
        super().__init__()
        self.over_time = OverTime(width)
        self.over_bands = OverBands(width, bands)
        self.mixed = Mixed(width)

    def forward(
        self, x: torch.Tensor, taps: torch.Tensor, memory: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take ``(times, batch, bands, width)`` and the state; return them as they are now."""
        x, taps, memory = self.over_time(x, taps, memory)
        return self.mixed(self.over_bands(x)), taps, memory


class OverTime(nn.Module):
    """What a band remembers: a short convolution and a gated linear recurrence (Griffin)."""

    def __init__(self, width: int, heads: int = TIME_HEADS) -> None:
        super().__init__()
        self._heads = heads
        self.norm = nn.LayerNorm(width)
        self.inward = nn.Linear(width, 2 * width)
        self.outward = nn.Linear(width, width)
        self.taps = nn.Parameter(torch.randn(TAPS, width) / TAPS)
        self.bias = nn.Parameter(torch.zeros(width))
        self.gates = BandLinear(heads, width // heads, 2 * width // heads)
        spread = math.log(_LONGEST_MEMORY / _SHORTEST_MEMORY) * torch.rand(width)
        rate = torch.exp(-spread) / _SHORTEST_MEMORY
        # with half-open gates the memories then last as they are spread here
        self.rate = nn.Parameter(torch.log(torch.expm1(2 * rate / SHARPNESS)))

    def forward(
        self, x: torch.Tensor, taps: torch.Tensor, memory: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take ``(times, batch, bands, width)`` and the state; return them as they are now."""
        times, batch, bands, width = x.shape
        value, gate = self.inward(self.norm(x)).chunk(2, dim=-1)
        recent = torch.cat([taps.to(value.dtype), value.flatten(1, 2)])
        taps = recent[-(TAPS - 1) :].float()
        value = sum(
            (recent[tap : tap + times] * self.taps[tap] for tap in range(TAPS)), start=self.bias
        )
        split = value.reshape(-1, self._heads, width // self._heads)
        gates = torch.sigmoid(self.gates(split).float())
        forget, take = gates.reshape(times, batch * bands, self._heads, 2, -1).unbind(-2)
        log_kept = -SHARPNESS * F.softplus(self.rate) * forget.flatten(-2)
        new = torch.sqrt(1 + 1e-6 - torch.exp(2 * log_kept)) * take.flatten(-2) * value.float()
        remembered = recur(torch.exp(log_kept), new, memory)
        memory = remembered[-1]
        out: torch.Tensor = self.outward(remembered.reshape(x.shape) * F.silu(gate))
        return x + out, taps, memory


class OverBands(nn.Module):
    """What a band takes from the others; each has its place (gMLP, Liu and others)."""

    def __init__(self, width: int, bands: int, heads: int = BAND_HEADS) -> None:
        super().__init__()
        self._bands = bands
        self._heads = heads
        self.norm = nn.LayerNorm(width)
        self.inward = nn.Linear(width, 2 * width)
        self.outward = nn.Linear(width, width)
        near = torch.eye(bands).repeat(heads, 1, 1)
        self.across = nn.Parameter(near + 0.1 * torch.randn(heads, bands, bands) / bands**0.5)
        self.bias = nn.Parameter(torch.zeros(bands, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take and return ``(times, batch, bands, width)``."""
        value, gate = self.inward(self.norm(x)).chunk(2, dim=-1)
        split = value.reshape(-1, self._bands, self._heads, x.shape[-1] // self._heads)
        by_head = split.permute(2, 1, 0, 3)
        gathered = torch.bmm(self.across, by_head.flatten(2)).reshape(by_head.shape)
        value = gathered.permute(2, 1, 0, 3).reshape(x.shape)
        out: torch.Tensor = self.outward((value + self.bias) * F.silu(gate))
        return x + out


class Mixed(nn.Module):
    """Mixes the features of a band, with a gate (SwiGLU, Shazeer)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = 3 * width // 2
        self.norm = nn.LayerNorm(width)
        self.inward = nn.Linear(width, 2 * inner)
        self.outward = nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take and return ``(..., width)``."""
        value, gate = self.inward(self.norm(x)).chunk(2, dim=-1)
        out: torch.Tensor = self.outward(value * F.silu(gate))
        return x + out


class BandLinear(nn.Module):
    """A linear layer for each of several bands or heads."""

    def __init__(self, bands: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(bands, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(bands, 1, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take ``(rows, bands, inputs)``; return ``(rows, bands, outputs)``."""
        return torch.baddbmm(self.bias, x.transpose(0, 1), self.weight).transpose(0, 1)
