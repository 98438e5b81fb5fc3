"""A causal network for live stems whose masks become filters.

They come 128 frames (3 ms) after the hop that they are of.

::

    frames -> spectrum -> the layers of `causal` -> masks -> filters
    frames -> filters -> frames

It has the layers and the bands of `causal.CausalBandSplit`, and its weights fit in. There a masked
spectrum is transformed back, which takes as many frames as the synthesis window is long. Here each
mask is turned into a filter for the sound itself, with `AHEAD` taps ahead and `BEHIND` back. A
filter needs no window, so a hop can be short.

The filters are made every `PERIOD` frames, of all frames up to then, and heard in the stems from
`EARLY` frames before that moment on. As these stems come later, a filter may be computed over
`PARTS` hops. Each takes over from the one before it within `FADE` frames.

Two memories take turns: so each of them sees a spectrum every `HOP` frames, as the layers of
`causal` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import torch
from torch.nn import functional as F  # noqa: N812 (everyone's name for it)

from streamer.models.networks.causal import CausalBandSplit, Memory
from streamer.models.networks.causal_shape import FFT, HOP
from streamer.models.networks.filter_shape import (
    AHEAD,
    BEHIND,
    EARLY,
    FADE,
    FALL,
    FILTER_HOP,
    FILTER_STRIDE,
    FILTER_TAPS,
    PERIOD,
    TURNS,
    filter_rise,
    filter_window,
)

_KEPT: Final = FFT - FILTER_HOP
_REACH: Final = FILTER_TAPS + FILTER_HOP - 1  # the frames that a hop of stems is made of
_IN_USE: Final = 3  # filters of the past that a hop may still need
_STEP_HOPS: Final = 64  # of a song at a time


@dataclass
class FilterState:
    """The memory of a `CausalFilters` from one call to the next.

    ``heard`` are the last frames, ``(batch, channels, frames)``; ``position`` is how many there
    were, modulo `HOP`. ``filters`` are the last ones, ``(batch, stems, channels, times, taps)``.
    The ``memories`` take turns.
    """

    heard: torch.Tensor
    position: int
    filters: torch.Tensor
    memories: list[Memory]


class CausalFilters(CausalBandSplit):
    """Separates a stream as it comes, and a whole song the same way."""

    stride: ClassVar = FILTER_STRIDE
    fall: ClassVar = FALL

    def forward(self, mix: torch.Tensor) -> torch.Tensor:
        """Return the stems of ``(batch, channels, frames)``, without the delay.

        Shape: ``(batch, stems, channels, frames)``.
        """
        if self.training:
            return self._learning(mix)
        frames = mix.shape[-1]
        whole = F.pad(mix, (0, AHEAD - frames % -FILTER_HOP))
        state = self.initial_state(len(mix), mix.device)
        stems = [
            self.step(part, state) for part in torch.split(whole, _STEP_HOPS * FILTER_HOP, dim=-1)
        ]
        return torch.cat(stems, dim=-1)[..., AHEAD : AHEAD + frames]

    def initial_state(  # type: ignore[override]  # of another kind, for its own step
        self, batch: int, device: torch.device | str = "cpu"
    ) -> FilterState:
        """Return the memory of a new stream: silence, and filters that share it evenly."""
        stems, channels = len(self.sources), self.audio_channels
        filters = torch.zeros(batch, stems, channels, _IN_USE, FILTER_TAPS, device=device)
        filters[..., AHEAD] = 1 / stems
        return FilterState(
            torch.zeros(batch, channels, _KEPT, device=device),
            0,
            filters,
            [self._empty(batch, device) for _ in range(TURNS)],
        )

    def step(self, frames: torch.Tensor, state: FilterState) -> torch.Tensor:  # type: ignore[override]
        """Take whole hops, ``(batch, channels, frames)``; return the stems of as many frames.

        These belong to the frames `AHEAD` earlier. ``state`` is updated.
        """
        heard = torch.cat([state.heard, frames], dim=-1)
        begin, count = state.position, frames.shape[-1] // FILTER_HOP
        filters = torch.cat([state.filters, self._next_filters(heard, state)], dim=3)
        # the first frames of the stems of each hop; the filter that is there for them
        firsts = begin - AHEAD + FILTER_HOP * torch.arange(count, device=frames.device)
        due = firsts + EARLY
        newer = due // PERIOD - begin // PERIOD + _IN_USE - 1
        rise = _rise(frames.device).reshape(-1, FILTER_HOP)
        rise = rise[due % PERIOD // FILTER_HOP]
        hops = heard[..., _KEPT + FILTER_HOP - _REACH :].unfold(-1, _REACH, FILTER_HOP)
        before, after = (_filtered(hops, filters, each) for each in (newer - 1, newer))
        state.heard = heard[..., -_KEPT:]
        state.position = (begin + frames.shape[-1]) % HOP
        state.filters = filters[:, :, :, -_IN_USE:]
        stems: torch.Tensor = (before + rise * (after - before)).flatten(-2)
        return stems

    def _next_filters(self, heard: torch.Tensor, state: FilterState) -> torch.Tensor:
        """Return the filters that fall due in ``heard``. Its first `_KEPT` frames are old."""
        first = PERIOD - state.position % PERIOD
        turn = (state.position + first) // PERIOD
        rest = heard[..., _KEPT + first - FFT :]
        count = max(0, (rest.shape[-1] - FFT) // PERIOD + 1)
        batch, stems, channels, _, taps = state.filters.shape
        made = rest.new_empty(batch, stems, channels, count, taps)
        for number in range(min(TURNS, count)):
            frames = rest[..., number * PERIOD :].unfold(-1, FFT, HOP)
            memory = state.memories[(turn + number) % TURNS]
            made[:, :, :, number::TURNS] = self._filters(frames, memory)
        return made

    def _filters(self, frames: torch.Tensor, memory: Memory) -> torch.Tensor:
        """Return the filters ``(batch, stems, channels, times, taps)`` for when ``frames`` end.

        ``frames`` are ``(batch, channels, times, FFT)``.
        """
        spectrum = torch.view_as_real(torch.fft.rfft(frames * self._analysis))
        masks = torch.view_as_complex(self.masks_of(spectrum, memory))
        taps: torch.Tensor = torch.fft.irfft(masks).roll(AHEAD, -1)[..., :FILTER_TAPS]
        return taps * torch.from_numpy(filter_window()).to(taps.device)

    def _learning(self, mix: torch.Tensor) -> torch.Tensor:
        batch, _, frames = mix.shape
        times = -(-frames // HOP) * TURNS
        heard = F.pad(mix, (FFT - PERIOD, times * PERIOD - frames)).unfold(-1, FFT, PERIOD)
        turns = torch.cat([heard[:, :, turn::TURNS] for turn in range(TURNS)])
        made = torch.split(self._filters(turns, self._empty(len(turns), mix.device)), batch)
        first = self.initial_state(batch, mix.device).filters[:, :, :, :2]
        filters = torch.cat([first, torch.stack(made, 4).flatten(3, 4)], 3)
        early = PERIOD + EARLY  # how long before the mixture the first filter begins
        before = BEHIND - 1 + early
        reach = PERIOD + FADE + FILTER_TAPS - 1
        behind = (times + 1) * PERIOD + reach - before - frames
        parts = F.pad(mix, (before, behind)).unfold(-1, reach, PERIOD)
        sound = _filtered(parts, filters, slice(None))
        rise = _rise(mix.device)[:FADE]
        rising, falling = sound[..., :FADE], sound[..., PERIOD:]
        fallen = F.pad(falling[..., :-1, :] * (1 - rise), (0, 0, 1, 0))
        held = torch.cat([fallen + rise * rising, sound[..., FADE:PERIOD]], dim=-1)
        return held.flatten(-2)[..., early : early + frames]


def _rise(device: torch.device) -> torch.Tensor:
    return torch.from_numpy(filter_rise()).to(device)


def _filtered(frames: torch.Tensor, filters: torch.Tensor, which: Any) -> torch.Tensor:
    """Return the frames for which ``frames``, ``(batch, channels, times, frames)``, reach.

    ``which`` says which filter is for which time.
    """
    size = _good_size(frames.shape[-1])
    gains = torch.fft.rfft(filters, size)[:, :, :, which]
    spectrum = torch.fft.rfft(frames, size)[:, None] * gains
    sound: torch.Tensor = torch.fft.irfft(spectrum, size)
    return sound[..., FILTER_TAPS - 1 : frames.shape[-1]]


def _good_size(frames: int) -> int:
    """Return a length for a Fourier transform, at least ``frames``: one and a half, or 2 ** n."""
    power: int = 1 << (frames - 1).bit_length()
    return power * 3 // 4 if frames <= power * 3 // 4 else power
