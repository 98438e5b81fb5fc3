"""The layers of the causal network in compiled code: from a spectrum to its masks, in parts."""

from __future__ import annotations

import numpy as np

from ringbuffer.compiled import compiled
from streamer.audio import Samples
from streamer.models.backends.native_kernels import audible, exp, gate, norm, product
from streamer.models.backends.native_state import State, Workspace
from streamer.models.backends.native_tiles import LANES, TALL, tall
from streamer.models.backends.native_weights import Layers, NativeNetwork
from streamer.models.networks.causal_shape import COMPRESSION, MASK_FLOOR, POWER_FLOOR

_SHRINK = np.float32((COMPRESSION - 1) / 2)
_POWER_FLOOR, _MASK_FLOOR = np.float32(POWER_FLOOR), np.float32(MASK_FLOOR)
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_OPEN = np.float32(1 + 1e-6)


@compiled(any_order=True)
def encode(network: NativeNetwork, room: Workspace) -> None:
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


@compiled(any_order=True)
def run_layers(
    network: NativeNetwork, state: State, room: Workspace, turn: int, first: int, last: int
) -> None:
    """Run the layers from the first on, up to the last, over the features in ``room.x``.

    ``turn`` says which of the memories they have.
    """
    depth = network.layers.decay.shape[0]
    for layer in range(first, last):
        _over_time(network.layers, layer, state, turn * depth + layer, room)
        _over_bands(network.layers, layer, room)
        _mix(network.layers, layer, room)


@compiled(any_order=True, inlined=True)
def _over_time(layers: Layers, layer: int, state: State, own: int, room: Workspace) -> None:
    """`causal_layers.OverTime`, for one spectrum; its ``own`` memory is one of many."""
    (bands, width), value = room.x.shape, room.normed
    norm(room.x, layers.time_norm[layer], room.normed)
    product(room.normed, layers.time_in[layer], layers.time_in_bias[layer], room.wide)
    taps, recent = layers.taps[layer], state.taps[own]
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
    _remember(layers, layer, state.memories[own], room)
    gate(state.memories[own], room.wide, width, room.gated)
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
                memories[band, at] = audible(exp(log_kept) * memories[band, at] + new)


@compiled(any_order=True, inlined=True)
def _over_bands(layers: Layers, layer: int, room: Workspace) -> None:
    """`causal_layers.OverBands`, for one spectrum."""
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
    """`causal_layers.Mixed`, for one spectrum."""
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


@compiled(any_order=True)
def make_masks(network: NativeNetwork, room: Workspace) -> None:
    """Write the masks of each point, ``(points, stems * channels * 2)``; they add up to 1."""
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
    _add_up(network, room.masks)


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
