"""The network whose masks become filters (`filters`) in compiled code, after what it heard.

A set of filters is computed over several hops, so that none of them takes long: the spectrum and
the first layers, then the other layers, the masks and the filters. A hop gives its stems first
(`filter_hop`). What only later hops need comes after them (`get_ahead`), and nobody waits for it.

The filters are used as they are: a hop of all stems is a product of their taps and of the frames
that these meet. That takes a fifth of the time of transforms, whose length is not that of a hop.
"""

from __future__ import annotations

import numpy as np

from ringbuffer.compiled import compiled
from streamer.audio import Samples
from streamer.models.backends.native_kernels import product
from streamer.models.backends.native_layers import encode, make_masks, run_layers
from streamer.models.backends.native_state import State, Workspace
from streamer.models.backends.native_transforms import analyse, join, transform_back
from streamer.models.backends.native_weights import NativeNetwork

_ONE = np.float32(1)


@compiled(any_order=True, inlined=True)
def filter_hop(network: NativeNetwork, state: State, room: Workspace, stems: Samples) -> None:
    """Write the stems of the hop whose frames ``state.heard`` has; see `hop`."""
    tables, new = network.filters, stems.shape[1]
    state.filters.position[0] += new
    # how far the first frame of the stems is in the time of its filters
    offset = (state.filters.position[0] - new - tables.ahead + tables.early) % tables.rise.size
    last, fades = stems.shape[0] - 1, tables.rise[offset] < _ONE
    filters, reach, filtered = state.filters.taps, state.filters.reach, room.filtered
    oldest = reach.shape[1] - filters.shape[2]
    for channel in range(filters.shape[0]):
        used = filters[channel, : 2 * last if fades else last]
        product(used, reach[channel, oldest:], tables.zeros, filtered)
        for stem in range(last):
            for at in range(new):
                sample = filtered[stem, at]
                if fades:
                    before = filtered[last + stem, at]
                    sample = before + (sample - before) * tables.rise[offset + at]
                stems[stem, at, channel] = sample
    _give_the_rest(network, state, stems)


@compiled(any_order=True, inlined=True)
def get_ahead(network: NativeNetwork, state: State, room: Workspace, new: int) -> None:
    """Do a part of what makes the next filters, after a hop of ``new`` frames that was heard."""
    position, period = state.filters.position[0], network.filters.rise.size
    number, part = position // period, position % period // new
    features, depth = state.filters.features, network.layers.decay.shape[0]
    parts = network.filters.parts
    if number == 0 or part >= parts - 1:
        return
    if part == 0:
        analyse(state.heard, network.analysis, network.turns, room)
        encode(network, room)
    else:
        _copy(features, room.x)
    shares = 2 * (parts - 1) - 1  # the masks and the filters take about half a share
    first, last = 2 * part * depth // shares, min(2 * (part + 1) * depth // shares, depth)
    run_layers(network, state, room, number % network.filters.turns, first, last)
    if part < parts - 2:
        _copy(room.x, features)
    else:
        make_masks(network, room)
        _make_filters(network, state, room)


@compiled(any_order=True, inlined=True)
def _copy(given: Samples, to: Samples) -> None:
    for row in range(given.shape[0]):
        for column in range(given.shape[1]):
            to[row, column] = given[row, column]


@compiled(any_order=True)
def _make_filters(network: NativeNetwork, state: State, room: Workspace) -> None:
    """Make filters of the masks in ``room.masks``; those that were new are the ones before."""
    channels, points = network.channels, network.filters.points
    sources = (network.stems - 1) * channels
    for first in range(0, sources, 2):
        second = min(first + 1, sources - 1)
        for k in range(points.size):
            mask = room.masks[points[k]]
            one, other = 2 * first, 2 * second
            join(room, k, room.real.size, mask[one], mask[one + 1], mask[other], mask[other + 1])
        transform_back(room, network.turns)
        _renew(network, state.filters.taps[first % channels], first // channels, room.real)
        if second > first:
            taps = state.filters.taps[second % channels]
            _renew(network, taps, second // channels, room.imaginary)


@compiled(any_order=True, inlined=True)
def _renew(network: NativeNetwork, taps: Samples, stem: int, signal: Samples) -> None:
    """Write the taps of a channel's filter for a stem, backwards: the tap ahead is the last."""
    window, ahead, fft = network.filters.window, network.filters.ahead, signal.size
    scale, size = _ONE / np.float32(fft), window.size
    now, before = taps[stem], taps[taps.shape[0] // 2 + stem]
    for at in range(size):
        before[at] = now[at]
    for tap in range(ahead, size):
        now[size - 1 - tap] = signal[tap - ahead] * window[tap] * scale
    for tap in range(ahead):
        now[size - 1 - tap] = signal[fft - ahead + tap] * window[tap] * scale


@compiled(any_order=True, inlined=True)
def _give_the_rest(network: NativeNetwork, state: State, stems: Samples) -> None:
    """Write the last stem: what the others leave of the mix."""
    last, new = stems.shape[0] - 1, stems.shape[1]
    begins = state.heard.shape[1] - new - network.filters.ahead
    for at in range(new):
        for channel in range(stems.shape[2]):
            rest = state.heard[channel, begins + at]
            for stem in range(last):
                rest -= stems[stem, at, channel]
            stems[last, at, channel] = rest
