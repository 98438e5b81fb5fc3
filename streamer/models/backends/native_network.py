"""The causal network (`causal`) in compiled code: one hop, from frames to the frames of the stems.

::

    network = pack(arrays, stems, channels)            # once: `native_weights`
    state, room = begin(network), workspace(network)   # for each stream
    finite = hop(network, state, room, frames, stems)  # no allocation, no lock, no object

It computes what `causal.CausalBandSplit.step` does for one hop of one stream, in float32. Sizes
come from the arrays, so that networks of all sizes share the code.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ringbuffer.compiled import compiled
from streamer.audio import Samples
from streamer.models.backends.native_filters import filter_hop, get_ahead
from streamer.models.backends.native_layers import encode, make_masks, run_layers
from streamer.models.backends.native_state import State, Workspace, begin, forget, workspace
from streamer.models.backends.native_transforms import analyse, hear, join, transform_back
from streamer.models.backends.native_weights import NativeNetwork

__all__ = [
    "State",
    "Workspace",
    "begin",
    "finish_hop",
    "forget",
    "give_hop",
    "hop",
    "workspace",
]

_ONE = np.float32(1)
_FIRST: Any = np.int64(0)  # a plain 0 is a type of its own to Numba, which would compile once more
_MOST = np.float32(np.finfo(np.float32).max)


def hop(
    network: NativeNetwork, state: State, room: Workspace, frames: Samples, stems: Samples
) -> bool:
    """Hear one hop of a stream; write the stems of the hop before it.

    It allocates nothing, waits for nothing and holds no lock. Before the first call make:

    - ``network``: `pack`, for all streams of the network;
    - ``state``: `begin`, for this stream alone;
    - ``room``: `workspace`, for this thread alone; nothing in it counts between two calls;
    - ``frames``: an array ``(hop frames, channels)``, float32, C-contiguous and writable. It is
      read, and may be filled again after the call;
    - ``stems``: an array ``(stems, hop frames, channels)``, float32, C-contiguous and writable. All
      of it is written.

    Compiled code, and who wants the stems as soon as they are there, calls `give_hop`, and
    `finish_hop` before the next hop: together they are this.

    A hop is as long as the network's stride says. With arrays of another dtype or layout Numba
    compiles again, for seconds; with other shapes memory is damaged.

    Returns whether all that it wrote are finite numbers. Where they are not (what it heard was not,
    or the weights are damaged), ``stems`` counts for nothing, and the stream starts over with the
    next hop.
    """
    finite: bool = give_hop(network, state, room, frames, stems)
    finish_hop(network, state, room, frames)
    return finite


@compiled(any_order=True)
def give_hop(
    network: NativeNetwork, state: State, room: Workspace, frames: Samples, stems: Samples
) -> bool:
    """Do the part of `hop` that its stems need, and return what that does."""
    hear(state.heard, frames)
    if network.filters.window.size:
        filter_hop(network, state, room, stems)
    else:
        analyse(state.heard, network.analysis, network.turns, room)
        encode(network, room)
        run_layers(network, state, room, _FIRST, _FIRST, network.layers.decay.shape[0])
        make_masks(network, room)
        _sound(network, state, room, stems)
    finite = _is_finite(stems.reshape(stems.size))
    if not finite:
        forget(state)
    return finite


@compiled(any_order=True)
def finish_hop(network: NativeNetwork, state: State, room: Workspace, frames: Samples) -> None:
    """Do the other part of `hop`, which later hops need, before the next."""
    if network.filters.window.size:
        get_ahead(network, state, room, frames.shape[0])


@compiled(any_order=True, inlined=True)
def _sound(network: NativeNetwork, state: State, room: Workspace, stems: Samples) -> None:
    """Write the frames of the stems, two channels of them at a time.

    The one is the real part of a complex signal, the other its imaginary part.
    """
    channels, sources, new = network.channels, network.stems * network.channels, stems.shape[1]
    begins, scale = network.analysis.size - 2 * new, _ONE / np.float32(network.analysis.size)
    for first in range(0, sources, 2):
        second = min(first + 1, sources - 1)
        _masked(network, room, first, second)
        transform_back(room, network.turns)
        for source in range(first, second + 1):
            signal = room.real if source == first else room.imaginary
            stem, channel = source // channels, source % channels
            tail = state.tail[stem, channel]
            for at in range(new):
                rising = signal[begins + at] * scale * network.synthesis[at]
                stems[stem, at, channel] = rising + tail[at]
                tail[at] = signal[begins + new + at] * scale * network.synthesis[new + at]


@compiled(any_order=True, inlined=True)
def _masked(network: NativeNetwork, room: Workspace, first: int, second: int) -> None:
    """Write the sum of one real source's spectrum and i times another's, for all frequencies."""
    channels, fft = network.channels, room.real.size
    one, two = 2 * (first % channels), 2 * (second % channels)
    for band in range(room.x.shape[0]):
        begins, bins, point, points, _, _ = network.table[band]
        for index in range(bins):
            k = begins + index
            mask = room.masks[point + index * points // bins]
            spectrum = room.spectrum[k]
            x, y = mask[2 * first], mask[2 * first + 1]
            a = x * spectrum[one] - y * spectrum[one + 1]
            b = x * spectrum[one + 1] + y * spectrum[one]
            x, y = mask[2 * second], mask[2 * second + 1]
            c = x * spectrum[two] - y * spectrum[two + 1]
            d = x * spectrum[two + 1] + y * spectrum[two]
            join(room, k, fft, a, b, c, d)


@compiled(any_order=True, inlined=True)
def _is_finite(values: Samples) -> bool:
    wrong = 0
    for value in values:
        wrong += not abs(value) <= _MOST
    return wrong == 0
