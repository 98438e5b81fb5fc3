"""What the native network works on: the state of a stream, and the room for one hop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringbuffer.compiled import compiled
from streamer.audio import Samples
from streamer.models.backends.native_tiles import LANES
from streamer.models.backends.native_weights import NativeNetwork
from streamer.models.networks.filter_shape import FILTER_HOP

_ZERO, _ONE = np.float32(0), np.float32(1)


class FilterState(NamedTuple):
    """What a network with filters keeps besides; of any other it is empty.

    ``position`` is how many frames were heard, ``features`` are those on their way through the
    layers, ``(bands, width)``, and ``masks`` what comes of them (`Workspace`). ``gains`` are the
    spectra of the last two sets of filters, of all stems but the last,
    ``(2, (stems - 1) * channels, bins, 2)``.
    """

    position: NDArray[np.int64]
    features: Samples
    masks: Samples
    gains: Samples


class State(NamedTuple):
    """What is kept of a stream from hop to hop; see `causal.StreamState`, `filters.FilterState`.

    ``heard`` is ``(channels, FFT)``, ``tail`` ``(stems, channels, HOP)``, ``taps``
    ``(turns * depth, TAPS - 1, bands, width)``, ``memories`` ``(turns * depth, bands, width)``.
    """

    heard: Samples
    tail: Samples
    taps: Samples
    memories: Samples
    filters: FilterState


class Workspace(NamedTuple):
    """What a hop writes down in between; nothing in it counts for the next. One thread's."""

    spectrum: Samples
    parts: Samples
    x: Samples
    normed: Samples
    wide: Samples
    gathered: Samples
    gated: Samples
    gates: Samples
    mix_wide: Samples
    mix_gated: Samples
    hidden: Samples
    masks: Samples
    real: Samples
    imaginary: Samples
    spare: tuple[Samples, Samples]
    stems: Samples


def begin(network: NativeNetwork) -> State:
    """Return the state of a stream that has heard nothing yet."""
    layers, (bands, width) = network.layers, network.bands.shape
    depth, taps = layers.taps.shape[:2]
    tables, filtered = network.filters, (network.stems - 1) * network.channels
    memories = depth * tables.turns
    parts = 2 * network.channels * network.stems
    points = network.heads_bias.size // parts
    bins = tables.flat.size // 2 + 1 if tables.flat.size else 0
    state = State(
        heard=_room(network.channels, network.analysis.size),
        tail=_room(network.stems, network.channels, network.synthesis.size // 2),
        taps=_room(memories, taps - 1, bands, width),
        memories=_room(memories, bands, width),
        filters=FilterState(
            position=np.zeros(1, np.int64),
            features=_room(bands if bins else 0, width),
            masks=_room(points if bins else 0, parts),
            gains=_room(2, filtered, bins, 2),
        ),
    )
    state.filters.gains[..., 0] = 1 / network.stems  # each is a share of the mix
    return state


def workspace(network: NativeNetwork) -> Workspace:
    """Return room for one thread to compute hops in."""
    (bands, width), inner = network.bands.shape, network.layers.mix_out.shape[1]
    fft, parts = network.analysis.size, 2 * network.channels
    bins = fft // 2 + 1
    return Workspace(
        spectrum=_room(bins, parts),
        parts=_room(1, bins * parts),
        x=_room(bands, width),
        normed=_room(bands, width),
        wide=_room(bands, max(2 * width, width + LANES)),
        gathered=_room(bands, width + LANES),
        gated=_room(bands, width),
        gates=_room(bands, 2 * width),
        mix_wide=_room(bands, 2 * inner),
        mix_gated=_room(bands, inner),
        hidden=_room(1, network.hidden.shape[2]),
        masks=_room(network.heads_bias.size // (network.stems * parts), network.stems * parts),
        real=_room(fft),
        imaginary=_room(fft),
        spare=(_room(fft), _room(fft)),
        stems=_room(network.stems, FILTER_HOP, network.channels),
    )


def _room(*shape: int) -> Samples:
    return np.zeros(shape, np.float32)


@compiled()
def forget(state: State) -> None:
    """Have a stream begin again, as `begin` does, without any memory. Compiled code may call it."""
    state.heard[:] = _ZERO
    state.tail[:] = _ZERO
    state.taps[:] = _ZERO
    state.memories[:] = _ZERO
    filters = state.filters
    filters.position[0] = 0
    filters.features[:] = _ZERO
    filters.masks[:] = _ZERO
    filters.gains[:] = _ZERO
    stems = filters.gains.shape[1] // state.heard.shape[0] + 1
    filters.gains[..., 0] = _ONE / np.float32(stems)
