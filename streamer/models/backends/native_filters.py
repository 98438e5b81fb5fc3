"""The network whose masks become filters (`filters`) in compiled code, after what it heard.

A set of filters is computed over several hops, so that none of them takes long: the spectrum and
the first layers, the other layers and the masks, and last the filters. A hop gives its stems first
(`filter_hop`). What only later hops need comes after them (`get_ahead`), and nobody waits for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ringbuffer.compiled import compiled
from streamer.audio import Samples
from streamer.models.backends.native_layers import encode, make_masks, run_layers
from streamer.models.backends.native_state import State, Workspace
from streamer.models.backends.native_transforms import (
    analyse,
    join,
    parted,
    transform,
    transform_back,
)
from streamer.models.backends.native_weights import NativeNetwork

_ZERO, _ONE = np.float32(0), np.float32(1)
# a plain int is a type of its own to Numba, which would compile once more
_BEFORE: Any = np.int64(0)
_NOW: Any = np.int64(1)


@compiled(any_order=True, inlined=True)
def filter_hop(network: NativeNetwork, state: State, room: Workspace, stems: Samples) -> None:
    """Write the stems of the hop whose frames ``state.heard`` has; see `hop`."""
    new, period = stems.shape[1], network.filters.rise.size
    state.filters.position[0] += new
    position = state.filters.position[0]
    if position >= period and position % period // new == network.filters.parts - 1:
        _make_filters(network, state, room)
    first = position - new - network.filters.ahead  # of the frames of the stems
    offset = (first + network.filters.early) % period
    analyse(state.heard, network.filters.flat, network.filters.circle, room)
    _filter(network, state, room, _NOW, stems)
    if network.filters.rise[offset] < _ONE:
        _fade(network, state, room, offset, stems)
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
    shares = 2 * (parts - 1) - 1  # the masks take about half a share
    first, last = 2 * part * depth // shares, min(2 * (part + 1) * depth // shares, depth)
    run_layers(network, state, room, number % network.filters.turns, first, last)
    if part < parts - 2:
        _copy(room.x, features)
    else:
        make_masks(network, room)
        _copy(room.masks, state.filters.masks)


@compiled(any_order=True, inlined=True)
def _copy(given: Samples, to: Samples) -> None:
    for row in range(given.shape[0]):
        for column in range(given.shape[1]):
            to[row, column] = given[row, column]


@compiled(any_order=True)
def _make_filters(network: NativeNetwork, state: State, room: Workspace) -> None:
    """Make the spectra of filters of the masks; those that were new are the ones before."""
    gains, tables = state.filters.gains, network.filters
    fft, size, window, ahead = network.analysis.size, tables.flat.size, tables.window, tables.ahead
    behind, scale = window.size - ahead, _ONE / np.float32(fft)
    for first in range(0, gains.shape[1], 2):
        second = min(first + 1, gains.shape[1] - 1)
        for band in range(network.table.shape[0]):
            begins, bins, point, points, _, _ = network.table[band]
            for index in range(bins):
                mask = state.filters.masks[point + index * points // bins]
                a, b, c, d = (
                    mask[2 * first],
                    mask[2 * first + 1],
                    mask[2 * second],
                    mask[2 * second + 1],
                )
                join(room, begins + index, fft, a, b, c, d)
        transform_back(room, network.turns)
        for signal in (room.real, room.imaginary):
            for at in range(behind):
                signal[at] *= window[ahead + at] * scale
            for at in range(behind, size - ahead):
                signal[at] = _ZERO
            for at in range(ahead):
                signal[size - ahead + at] = signal[fft - ahead + at] * window[at] * scale
        transform(room, tables.circle)
        for k in range(size // 2 + 1):
            a, b, c, d = parted(room, k, size)
            _renew(gains, first, k, a, b)
            if second > first:
                _renew(gains, second, k, c, d)


@compiled(any_order=True, inlined=True)
def _renew(gains: Samples, source: int, k: int, real: float, imaginary: float) -> None:
    now, before = gains[_NOW, source, k], gains[_BEFORE, source, k]
    before[0], before[1] = now[0], now[1]
    now[0], now[1] = real, imaginary


@compiled(any_order=True)
def _filter(
    network: NativeNetwork, state: State, room: Workspace, which: int, stems: Samples
) -> None:
    """Write the stems that filters make of ``room.spectrum``, but for the last stem."""
    tables, channels, new = network.filters, network.channels, stems.shape[1]
    size, gains = tables.flat.size, state.filters.gains[which]
    begins, scale = size - new - tables.ahead, _ONE / np.float32(size)
    for first in range(0, gains.shape[0], 2):
        second = min(first + 1, gains.shape[0] - 1)
        one, two = 2 * (first % channels), 2 * (second % channels)
        for k in range(size // 2 + 1):
            x, spectrum = gains[first, k], room.spectrum[k]
            a = x[0] * spectrum[one] - x[1] * spectrum[one + 1]
            b = x[0] * spectrum[one + 1] + x[1] * spectrum[one]
            x = gains[second, k]
            c = x[0] * spectrum[two] - x[1] * spectrum[two + 1]
            d = x[0] * spectrum[two + 1] + x[1] * spectrum[two]
            join(room, k, size, a, b, c, d)
        transform_back(room, tables.circle)
        for at in range(new):
            stems[first // channels, at, first % channels] = room.real[begins + at] * scale
        if second > first:
            for at in range(new):
                stems[second // channels, at, second % channels] = (
                    room.imaginary[begins + at] * scale
                )


@compiled(any_order=True, inlined=True)
def _fade(
    network: NativeNetwork, state: State, room: Workspace, offset: int, stems: Samples
) -> None:
    """Fade from the filters before to the stems as they are."""
    before, rise = room.stems, network.filters.rise
    _filter(network, state, room, _BEFORE, before)
    for stem in range(stems.shape[0] - 1):
        for at in range(stems.shape[1]):
            for channel in range(stems.shape[2]):
                old = before[stem, at, channel]
                risen = (stems[stem, at, channel] - old) * rise[offset + at]
                stems[stem, at, channel] = old + risen


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
