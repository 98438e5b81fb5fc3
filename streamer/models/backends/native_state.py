"""What the native network works on: the state of a stream, and the room for one hop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ringbuffer.compiled import compiled
from streamer.audio import Samples
from streamer.models.backends.native_tiles import LANES
from streamer.models.backends.native_weights import NativeNetwork
from streamer.models.networks.filter_shape import AHEAD, FILTER_HOP

_ZERO, _ONE = np.float32(0), np.float32(1)


class FilterState(NamedTuple):
    """What a network with filters keeps besides; of any other nothing is used.

    ``position`` is how many frames were heard, ``features`` are those on their way through the
    layers, ``(bands, width)``. ``taps`` are the last two sets of filters, of all stems but the
    last: ``(channels, 2 * (stems - 1), taps)``, those of the newer set first, and of each the tap
    of the oldest frame. ``reach`` are the last frames of ``heard`` a hop at a time, each a frame
    later than the one before, ``(channels, frames, hop)``: a view of them, and no copy.
    """

    position: NDArray[np.int64]
    features: Samples
    taps: Samples
    reach: Samples


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
    filtered: Samples


def begin(network: NativeNetwork) -> State:
    """Return the state of a stream that has heard nothing yet."""
    layers, (bands, width) = network.layers, network.bands.shape
    depth, taps = layers.taps.shape[:2]
    tables, size = network.filters, network.filters.window.size
    memories = depth * tables.turns
    heard = _room(network.channels, network.analysis.size)
    state = State(
        heard=heard,
        tail=_room(network.stems, network.channels, network.synthesis.size // 2),
        taps=_room(memories, taps - 1, bands, width),
        memories=_room(memories, bands, width),
        filters=FilterState(
            position=np.zeros(1, np.int64),
            features=_room(bands if size else 0, width),
            taps=_room(network.channels, 2 * (network.stems - 1), size),
            reach=sliding_window_view(heard, FILTER_HOP, axis=1, writeable=True),
        ),
    )
    if size:
        state.filters.taps[..., size - 1 - AHEAD] = 1 / network.stems  # each is a share of the mix
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
        filtered=_room(2 * (network.stems - 1), FILTER_HOP),
    )


def _room(*shape: int) -> Samples:
    made: Samples = np.empty(shape, np.float32)
    made.fill(0.0)  # touched now: the first hops of a live run have no time for page faults
    return made


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
    filters.taps[:] = _ZERO
    if filters.taps.size:
        stems = filters.taps.shape[1] // 2 + 1
        filters.taps[..., filters.taps.shape[2] - 1 - AHEAD] = _ONE / np.float32(stems)
