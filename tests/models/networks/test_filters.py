"""The causal network whose masks become filters: hops of 64 frames, and 128 frames of lookahead."""

from __future__ import annotations

import pytest
import torch

from streamer.errors import ModelError
from streamer.models import load
from streamer.models.networks.causal import CausalBandSplit
from streamer.models.networks.causal_shape import HOP
from streamer.models.networks.checkpoint import read_network, write_network
from streamer.models.networks.filter_shape import AHEAD, FILTER_HOP, PERIOD
from streamer.models.networks.filters import CausalFilters

SOURCES = ["drums", "bass", "other", "vocals"]
SIZES = {"width": 16, "depth": 2, "hidden": 16}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return CausalFilters(SOURCES, **SIZES).requires_grad_(requires_grad=False).eval()


def draw(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("frames", [1, FILTER_HOP, 5000])
def test_the_stems_add_up_to_the_mix_and_are_not_shares_of_it(network, frames):
    mix = draw(2, 2, frames)
    stems = network(mix)
    assert stems.shape == (2, 4, 2, frames)
    torch.testing.assert_close(stems.sum(1), mix, atol=1e-6, rtol=0)
    assert frames < 5000 or (stems[:, 0] - mix / 4)[..., PERIOD:].abs().max() > 1e-3


def test_what_comes_later_than_the_lookahead_changes_nothing(network):
    mix = draw(1, 2, 60 * FILTER_HOP)
    before = network(mix)
    for frame in (31 * FILTER_HOP, 32 * FILTER_HOP + 5):
        other = mix.clone()
        other[..., frame:] = draw(1, 2, 60 * FILTER_HOP, seed=1)[..., frame:]
        after = network(other)
        known = frame - AHEAD
        torch.testing.assert_close(after[..., :known], before[..., :known], atol=1e-6, rtol=0)
        # and no more than that is promised, or used
        assert (after - before)[..., known : known + AHEAD].abs().max() > 1e-4


def test_a_stream_in_any_hops_is_the_song(network):
    mix = draw(1, 2, 90 * FILTER_HOP)
    song = network(mix)
    for sizes in ([1] * 90, [3, 1, 70, 5, 11], [90]):
        state, parts, at = network.initial_state(1), [], 0
        for size in sizes:
            end = at + size * FILTER_HOP
            parts.append(network.step(mix[..., at:end], state))
            at = end
        stream = torch.cat(parts, dim=-1)[..., AHEAD:]
        torch.testing.assert_close(stream, song[..., : stream.shape[-1]], atol=1e-6, rtol=0)


@pytest.mark.parametrize("frames", [20 * HOP, 20 * HOP + 300])
def test_while_it_learns_its_stems_are_those_of_a_song(network, frames):
    mix = draw(2, 2, frames)
    song = network(mix)
    torch.testing.assert_close(network.train()(mix), song, atol=1e-6, rtol=0)


def test_it_takes_the_weights_of_the_causal_network(network):
    other = CausalBandSplit(SOURCES, **SIZES)
    other.load_state_dict(network.state_dict())


def test_a_file_of_it_runs_on_torch_and_natively_and_not_in_openvino(network, tmp_path):
    path = tmp_path / "small.safetensors"
    write_network(network, path)
    mix = draw(1, 2, 4 * HOP)
    assert torch.equal(read_network(path)(mix), network(mix))
    for library in ("torch", "native"):
        assert load(str(path), backend=library).stride == network.stream_stride
    with pytest.raises(ModelError, match="backend=openvino runs networks of the classes"):
        load(str(path), backend="openvino")
