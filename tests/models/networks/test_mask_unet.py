"""Spleeter's networks: what their masks promise, and that their file is one of Demucs."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from streamer.errors import WeightsError
from streamer.files import demo_song, open_source
from streamer.models import load
from streamer.models.networks.checkpoint import read_network, write_network
from streamer.models.networks.mask_shape import BINS, HALVED, HOP, mirrored
from streamer.models.networks.mask_unet import WIDTHS, MaskUNets

STEMS = ["vocals", "accompaniment"]


@pytest.fixture(scope="module", params=[False, True])
def network(request):
    torch.manual_seed(0)
    made = MaskUNets(STEMS, bottleneck=16, rest=request.param)
    made.requires_grad_(False)
    return made.eval()


def draw(frames):
    return 0.1 * torch.randn(2, 2, frames, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("frames", [1, HOP - 1, 70 * HOP + 5])
def test_the_stems_add_up_to_the_mix(network, frames):
    mix = draw(frames)
    stems = network(mix)
    assert stems.shape == (2, 2, 2, frames)
    # the highest frequency is left out, as in HTDemucs
    heard = network._ispec(network._spec(mix), frames)
    torch.testing.assert_close(stems.sum(1), heard, atol=1e-5, rtol=0)
    assert (stems[:, 0] - stems[:, 1]).abs().max() > 1e-4


def test_columns_and_bins_are_what_the_layers_halve():
    assert 2 ** (len(WIDTHS) + 1) == HALVED
    assert BINS % HALVED == 0
    assert all(len(mirrored(columns)) % HALVED == 0 for columns in (1, 2, 63, 64, 65))
    assert mirrored(3)[:7] == [0, 1, 2, 1, 0, 1, 2]


def test_stems_follow_the_level_and_silence_is_silence(network):
    mix = draw(20 * HOP)
    torch.testing.assert_close(network(100 * mix) / 100, network(mix), atol=1e-5, rtol=0)
    assert not network(0 * mix).any()


def test_what_lies_above_what_they_see_follows_the_rest(network):
    """A tone of 18 kHz is shared out by the mean of the masks below, here those of silence."""
    seconds = torch.arange(20 * HOP) / 44100
    tone = 0.3 * torch.sin(2 * torch.pi * 18000 * seconds).expand(1, 2, -1)
    first, second = network(tone)[0, :, :, 4 * HOP : -4 * HOP]
    torch.testing.assert_close(first + second, tone[0, :, 4 * HOP : -4 * HOP], atol=1e-5, rtol=0)
    assert 0.01 < first.square().sum() / second.square().sum() < 100


def test_its_file_is_a_model(network, tmp_path):
    path = tmp_path / "spleeter.safetensors"
    write_network(copy.deepcopy(network).half(), path)
    read, mix = read_network(path), draw(20 * HOP)
    expected = read(mix)
    bag = load(str(path), device="cpu")
    assert bag.names == ("vocals", "accompaniment")
    (member,) = bag.members
    stems = torch.from_numpy(member.separator(mix.transpose(1, 2).numpy()))
    torch.testing.assert_close(stems.transpose(2, 3), expected, atol=1e-5, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        error = read(mix) - expected
    assert error.square().mean() < 1e-4 * expected.square().mean()


def test_a_rest_needs_a_stem_beside_it(tmp_path):
    path = tmp_path / "three.safetensors"
    network = MaskUNets(STEMS, rest=True)
    network._init_args_kwargs[1]["sources"] = ["a", "b", "c"]
    network._init_args_kwargs = ((), network._init_args_kwargs[1])
    write_network(network, path)
    with pytest.raises(WeightsError, match="rest needs two sources"):
        read_network(path)


def test_the_end_of_a_window_has_nearly_the_stems_of_a_longer_one():
    """That is what a live window plays; in front of silence they differ as much as they are."""
    with open_source(str(demo_song())) as source:
        song = np.concatenate(list(source.blocks()))
    (member,) = load("mini_vocals", device="cpu").members
    whole = member.separator(song[np.newaxis])[0, 0]
    ends, last = range(66150, len(song) - 22050, 22050), slice(-11025, None)
    expected = np.stack([whole[:end][last] for end in ends])
    windows = np.stack([song[end - 66150 : end] for end in ends])
    vocals = member.separator(windows, last)[:, 0]
    assert 10 * np.log10(np.sum(expected**2) / np.sum((vocals - expected) ** 2)) > 6
