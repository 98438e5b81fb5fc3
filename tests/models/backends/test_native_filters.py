"""The network whose masks become filters in compiled code: what torch gives, hop by hop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.streams import assert_no_number_stays

from streamer.models.backends.native_network import (
    begin,
    finish_hop,
    forget,
    give_hop,
    workspace,
)
from streamer.models.backends.native_stream import NativeStreamSeparator
from streamer.models.backends.torch_stream import TorchStreamSeparator
from streamer.models.networks.checkpoint import read_network, write_network
from streamer.models.networks.facts import NetworkFacts
from streamer.models.networks.filter_shape import FILTER_HOP
from streamer.models.networks.filters import CausalFilters


def both(folder, sources="abcd", **sizes):
    """Return a random network, whose every weight matters, natively and on torch."""
    torch.manual_seed(0)
    network = CausalFilters(list(sources), **{"width": 16, "depth": 2, "hidden": 16, **sizes})
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for one in network.parameters():
            one += 0.1 * torch.randn(one.shape, generator=generator)
    path = folder / "small.safetensors"
    write_network(network, path)
    read = read_network(path)
    ours = NativeStreamSeparator(path, NetworkFacts.of(read), window_seconds=None)
    return ours, TorchStreamSeparator(read, torch.device("cpu"))


def test_a_stream_in_any_hops_is_what_torch_gives(tmp_path, noise):
    ours, reference = both(tmp_path)
    assert (ours.stride, ours.window_frames) == (reference.stride, reference.window_frames)
    (mix,) = noise(1, 1024 * FILTER_HOP)
    one, other = ours.begin(), reference.begin()
    for _ in range(2):
        np.testing.assert_allclose(one(mix), other(mix), atol=1e-5)
    whole, by_hops = ours.begin()(mix[: 100 * FILTER_HOP]), ours.begin()
    parts = [by_hops(mix[at : at + FILTER_HOP]) for at in range(0, 100 * FILTER_HOP, FILTER_HOP)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_the_stems_of_a_hop_wait_for_nothing_that_only_later_hops_need(tmp_path, noise):
    ours, _ = both(tmp_path)
    network, hops = ours.network, 40
    state, room = begin(network), workspace(network)
    stems = np.zeros((network.stems, FILTER_HOP, network.channels), np.float32)
    for_later = state.memories, state.filters.features, state.filters.taps
    moved = 0
    for frames in np.split(noise(1, hops * FILTER_HOP)[0], hops):
        before = [one.copy() for one in for_later]
        assert give_hop(network, state, room, frames, stems)
        for one, was in zip(for_later, before, strict=True):
            np.testing.assert_array_equal(one, was)
        finish_hop(network, state, room, frames)
        pairs = zip(for_later, before, strict=True)
        moved += any(not np.array_equal(one, was) for one, was in pairs)
    assert moved > hops // 4  # of four hops two have a part of the network


@pytest.mark.parametrize(
    ("sources", "sizes"),
    [
        ("a", {"audio_channels": 1, "depth": 1}),
        ("abc", {"audio_channels": 1, "depth": 4}),
        ("ab", {"audio_channels": 3, "depth": 5}),
    ],
)
def test_networks_of_all_sizes_give_what_torch_gives(tmp_path, sources, sizes):
    ours, reference = both(tmp_path, sources, **sizes)
    draw = np.random.default_rng(0)
    mix = draw.normal(0, 0.1, (40 * FILTER_HOP, sizes["audio_channels"])).astype(np.float32)
    np.testing.assert_allclose(ours.begin()(mix), reference.begin()(mix), atol=1e-5)


def test_what_is_no_number_is_said_and_does_not_stay_in_the_stream(tmp_path, noise):
    ours, _ = both(tmp_path)
    assert_no_number_stays(ours, noise(1, 40 * FILTER_HOP)[0], FILTER_HOP, np.nan)


def test_what_was_forgotten_begins_anew_and_nothing_in_the_room_counts(tmp_path, noise):
    ours, _ = both(tmp_path)
    (mix,) = noise(1, 40 * FILTER_HOP)
    stream = ours.begin()
    first = stream(mix)
    forget(stream._state)
    room = stream._room
    for one in (*room._replace(spare=room.spare[0]), room.spare[1]):
        one[:] = np.nan
    np.testing.assert_array_equal(stream(mix), first)
