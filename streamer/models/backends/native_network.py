"""The causal network (`causal`) in compiled code: one hop, from frames to the frames of the stems.

::

    network = pack(arrays, stems, channels)            # once: `native_weights`
    state, room = begin(network), workspace(network)   # for each stream
    finite = hop(network, state, room, frames, stems)  # no allocation, no lock, no object

It computes what `causal.CausalBandSplit.step` does for one hop of one stream, in float32. Sizes
come from the arrays, so that networks of all sizes share the code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ringbuffer.compiled import compiled
from streamer.audio import Samples
from streamer.models.backends.native_kernels import exp, fourier, gate, norm, product
from streamer.models.backends.native_tiles import LANES, TALL, tall
from streamer.models.backends.native_weights import Layers, NativeNetwork
from streamer.models.networks.causal_shape import COMPRESSION, MASK_FLOOR, POWER_FLOOR

_SHRINK = np.float32((COMPRESSION - 1) / 2)
_POWER_FLOOR, _MASK_FLOOR = np.float32(POWER_FLOOR), np.float32(MASK_FLOOR)
_ZERO, _HALF, _ONE, _TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
_MOST = np.float32(np.finfo(np.float32).max)
_OPEN = np.float32(1 + 1e-6)
_SILENT = np.float32(1e-18)
"""Below it frames, spectra and memories count as 0: processors take long over numbers that are
almost 0 (denormal ones)."""


class State(NamedTuple):
    """What is kept of a stream from hop to hop; see `causal.StreamState`.

    ``heard`` is ``(channels, FFT)``, ``tail`` ``(stems, channels, HOP)``, ``taps``
    ``(depth, TAPS - 1, bands, width)``, ``memories`` ``(depth, bands, width)``.
    """

    heard: Samples
    tail: Samples
    taps: Samples
    memories: Samples


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


def begin(network: NativeNetwork) -> State:
    """Return the state of a stream of which nothing was heard yet."""
    layers, (bands, width) = network.layers, network.bands.shape
    depth, taps = layers.taps.shape[:2]
    return State(
        heard=_room(network.channels, network.analysis.size),
        tail=_room(network.stems, network.channels, network.synthesis.size // 2),
        taps=_room(depth, taps - 1, bands, width),
        memories=_room(depth, bands, width),
    )


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
    )


def _room(*shape: int) -> Samples:
    return np.zeros(shape, np.float32)


@compiled()
def forget(state: State) -> None:
    """Forget the stream, as `begin` does, but allocate nothing. Compiled code may call it."""
    state.heard[:] = _ZERO
    state.tail[:] = _ZERO
    state.taps[:] = _ZERO
    state.memories[:] = _ZERO


@compiled(any_order=True)
def hop(
    network: NativeNetwork, state: State, room: Workspace, frames: Samples, stems: Samples
) -> bool:
    """Hear one hop of a stream; write the stems of the hop before it. Compiled code may call it.

    It allocates nothing, waits for nothing and holds no lock. Before the first call make:

    - ``network``: `pack`, for all streams of the network;
    - ``state``: `begin`, for this stream alone;
    - ``room``: `workspace`, for this thread alone; nothing in it counts between two calls;
    - ``frames``: an array ``(hop frames, channels)``, float32, C-contiguous and writable. It is
      read, and may be filled again after the call;
    - ``stems``: an array ``(stems, hop frames, channels)``, float32, C-contiguous and writable. All
      of it is written.

    The hop frames are the network's: ``network.synthesis.size // 2``. With arrays of another dtype
    or layout Numba compiles again, for seconds; with other shapes memory is damaged.

    Returns whether all that it wrote are finite numbers. Where they are not (what it heard was not,
    or the weights are damaged), ``stems`` counts for nothing, and the stream starts over with the
    next hop.
    """
    _hear(network, state, room, frames)
    _encode(network, room)
    for layer in range(network.layers.decay.shape[0]):
        _over_time(network.layers, layer, state, room)
        _over_bands(network.layers, layer, room)
        _mix(network.layers, layer, room)
    _make_masks(network, room)
    _add_up(network, room.masks)
    _sound(network, state, room, stems)
    finite = _is_finite(stems.reshape(stems.size))
    if not finite:
        forget(state)
    return finite


@compiled(any_order=True, inlined=True)
def _hear(network: NativeNetwork, state: State, room: Workspace, frames: Samples) -> None:
    """Write the spectrum of the last frames, ``(bins, channels * 2)``.

    Two real channels are one complex signal: the even part of its spectrum is the one, the odd part
    the other.
    """
    heard, analysis = state.heard, network.analysis
    fft, new, channels = analysis.size, frames.shape[0], network.channels
    for channel in range(channels):
        for at in range(fft - new):
            heard[channel, at] = heard[channel, at + new]
        for at in range(new):
            heard[channel, fft - new + at] = _audible(frames[at, channel])
    for first in range(0, channels, 2):
        second = min(first + 1, channels - 1)
        for at in range(fft):
            room.real[at] = heard[first, at] * analysis[at]
            room.imaginary[at] = heard[second, at] * analysis[at]
        fourier(room.real, room.imaginary, room.spare, network.turns)
        for k in range(room.spectrum.shape[0]):
            mirror = (fft - k) % fft
            a, b = room.real[k], room.imaginary[k]
            c, d = room.real[mirror], room.imaginary[mirror]
            room.spectrum[k, 2 * first] = _audible(_HALF * (a + c))
            room.spectrum[k, 2 * first + 1] = _audible(_HALF * (b - d))
            if second > first:
                room.spectrum[k, 2 * second] = _audible(_HALF * (b + d))
                room.spectrum[k, 2 * second + 1] = _audible(_HALF * (c - a))


@compiled(any_order=True, inlined=True)
def _audible(x: Any) -> Any:
    return _ZERO if abs(x) < _SILENT else x


@compiled(any_order=True, inlined=True)
def _encode(network: NativeNetwork, room: Workspace) -> None:
    """Write the features of each band to ``room.x``."""
    (bands, width), parts = room.x.shape, 2 * network.channels
    for k in range(room.spectrum.shape[0]):
        for part in range(0, parts, 2):
            real, imaginary = room.spectrum[k, part], room.spectrum[k, part + 1]
            scale = (real * real + imaginary * imaginary + _POWER_FLOOR) ** _SHRINK
            room.parts[0, parts * k + part] = real * scale
            room.parts[0, parts * k + part + 1] = imaginary * scale
    for band in range(bands):
        first, bins, _, _, at, _ = network.table[band]
        inputs = bins * parts
        weight = network.encoders[at : at + inputs * width].reshape(inputs, width)
        heard = room.parts[:, parts * first : parts * first + inputs]
        product(heard, weight, network.bands[band], room.x[band : band + 1])


@compiled(any_order=True, inlined=True)
def _over_time(layers: Layers, layer: int, state: State, room: Workspace) -> None:
    """`causal_layers.OverTime`, for one hop."""
    (bands, width), value = room.x.shape, room.normed
    norm(room.x, layers.time_norm[layer], room.normed)
    product(room.normed, layers.time_in[layer], layers.time_in_bias[layer], room.wide)
    taps, recent = layers.taps[layer], state.taps[layer]
    before = recent.shape[0]
    for band in range(bands):
        for column in range(width):
            now = room.wide[band, column]
            total = layers.taps_bias[layer, column] + taps[before, column] * now
            for tap in range(before):
                total += taps[tap, column] * recent[tap, band, column]
            for tap in range(before - 1):
                recent[tap, band, column] = recent[tap + 1, band, column]
            recent[before - 1, band, column] = now
            value[band, column] = total
    _remember(layers, layer, state.memories[layer], room)
    gate(state.memories[layer], room.wide, width, room.gated)
    product(room.gated, layers.time_out[layer], layers.time_out_bias[layer], room.normed)
    _add(room.normed, room.x)


@compiled(any_order=True, inlined=True)
def _remember(layers: Layers, layer: int, memories: Samples, room: Workspace) -> None:
    """Bring the memories up to date with the values in ``room.normed``."""
    bands, width = room.x.shape
    heads = layers.gates.shape[1]
    each = width // heads
    for head in range(heads):
        first, last = head * each, (head + 1) * each
        product(
            room.normed[:, first:last],
            layers.gates[layer, head],
            layers.gates_bias[layer, head],
            room.gates[:, 2 * first : 2 * last],
        )
    for band in range(bands):
        gates = room.gates[band]
        for column in range(2 * width):
            gates[column] = _ONE / (_ONE + exp(-gates[column]))
        for head in range(heads):
            for column in range(each):
                at = head * each + column
                forgotten, take = (
                    gates[2 * head * each + column],
                    gates[(2 * head + 1) * each + column],
                )
                log_kept = layers.decay[layer, at] * forgotten
                new = np.sqrt(_OPEN - exp(_TWO * log_kept)) * take * room.normed[band, at]
                memories[band, at] = _audible(exp(log_kept) * memories[band, at] + new)


@compiled(any_order=True, inlined=True)
def _over_bands(layers: Layers, layer: int, room: Workspace) -> None:
    """`causal_layers.OverBands`, for one hop."""
    (bands, width), heads = room.x.shape, layers.across.shape[1]
    each = width // heads
    norm(room.x, layers.band_norm[layer], room.normed)
    product(room.normed, layers.band_in[layer], layers.band_in_bias[layer], room.wide)
    for head in range(heads):
        share = layers.across[layer, head]
        for column in range(head * each, (head + 1) * each, LANES):
            for row in range(0, bands, TALL):
                # what lies beyond the head is overwritten by the next, and after the last no value
                tall(
                    share,
                    room.wide,
                    layers.across_bias[layer],
                    room.gathered,
                    min(row, bands - TALL),
                    column,
                )
    gate(room.gathered, room.wide, width, room.gated)
    product(room.gated, layers.band_out[layer], layers.band_out_bias[layer], room.normed)
    _add(room.normed, room.x)


@compiled(any_order=True, inlined=True)
def _mix(layers: Layers, layer: int, room: Workspace) -> None:
    """`causal_layers.Mixed`, for one hop."""
    norm(room.x, layers.mix_norm[layer], room.normed)
    product(room.normed, layers.mix_in[layer], layers.mix_in_bias[layer], room.mix_wide)
    gate(room.mix_wide, room.mix_wide, room.mix_gated.shape[1], room.mix_gated)
    product(room.mix_gated, layers.mix_out[layer], layers.mix_out_bias[layer], room.normed)
    _add(room.normed, room.x)


@compiled(any_order=True, inlined=True)
def _add(more: Samples, x: Samples) -> None:
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            x[row, column] += more[row, column]


@compiled(any_order=True, inlined=True)
def _make_masks(network: NativeNetwork, room: Workspace) -> None:
    """Write the masks of each point, ``(points, stems * channels * 2)``."""
    norm(room.x, network.norm, room.normed)
    hidden, half = room.hidden, room.hidden.size // 2
    masks = room.masks.reshape(1, room.masks.size)
    each = room.masks.shape[1]
    for band in range(room.x.shape[0]):
        of_band = room.normed[band : band + 1]
        product(of_band, network.hidden[band], network.hidden_bias[band], hidden)
        for column in range(half):
            hidden[0, column] = hidden[0, column] / (_ONE + exp(-hidden[0, half + column]))
        _, _, point, points, _, at = network.table[band]
        outputs = points * each
        begins, ends = point * each, point * each + outputs
        weight = network.heads[at : at + half * outputs].reshape(half, outputs)
        product(hidden[:, :half], weight, network.heads_bias[begins:ends], masks[:, begins:ends])


@compiled(any_order=True, inlined=True)
def _add_up(network: NativeNetwork, masks: Samples) -> None:
    """Share what masks lack of 1 among the stems, by their power, so that they add up to it."""
    each = 2 * network.channels
    for point in range(masks.shape[0]):
        row = masks[point]
        for part in range(0, each, 2):
            power, real, imaginary = _ZERO, _ONE, _ZERO
            for stem in range(network.stems):
                a, b = row[stem * each + part], row[stem * each + part + 1]
                power += a * a + b * b + _MASK_FLOOR
                real -= a
                imaginary -= b
            for stem in range(network.stems):
                a, b = row[stem * each + part], row[stem * each + part + 1]
                share = (a * a + b * b + _MASK_FLOOR) / power
                row[stem * each + part] = a + real * share
                row[stem * each + part + 1] = b + imaginary * share


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
        # with the parts exchanged it is the inverse
        fourier(room.imaginary, room.real, room.spare, network.turns)
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
    """Write the spectrum of one real source, and i times that of another, for all frequencies."""
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
            if second == first:
                c = d = _ZERO
            if k in (0, fft // 2):  # of a real signal these are real
                b = d = _ZERO
            room.real[k], room.imaginary[k] = a - d, b + c
            if 0 < k < fft // 2:
                room.real[fft - k], room.imaginary[fft - k] = a + d, c - b


@compiled(any_order=True, inlined=True)
def _is_finite(values: Samples) -> bool:
    wrong = 0
    for value in values:
        wrong += not abs(value) <= _MOST
    return wrong == 0
