"""HTDemucs with masks: what the masks promise, and that its file is one of Demucs."""

from __future__ import annotations

import pytest
import torch
from demucs.hf import load_safetensors_model

from streamer.models.networks.checkpoint import write_network
from streamer.models.networks.masked import MaskedHTDemucs

FRAMES = 15600


@pytest.fixture
def network(make):
    return make("masked", nfft=1024, depth=3)


@pytest.fixture
def mix(noise):
    return torch.from_numpy(noise(1, FRAMES).swapaxes(1, 2).copy())


def deviation_db(expected, got):
    return 10 * torch.log10(expected.square().sum() / (expected - got).square().sum())


def test_the_masks_share_out_all_of_the_spectrum(network, mix):
    spectrum = network._spec(mix)
    stems = network._mask(spectrum, torch.randn(1, 4, *spectrum.shape[1:]))
    torch.testing.assert_close(stems.sum(1), spectrum)


def test_stems_follow_the_level(network, mix):
    with torch.inference_mode():
        stems = network(mix)
        assert deviation_db(stems, network(100 * mix) / 100) > 60
        assert not network(0 * mix).any()


def test_rounding_errors_make_no_difference(network):
    """Of one tone most of the spectrum is nothing but those."""
    seconds = torch.arange(FRAMES) / 8000
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * seconds).expand(1, 2, -1)
    with torch.inference_mode():
        assert deviation_db(network(tone), network(1.23 * tone) / 1.23) > 90


def test_its_file_is_read_as_demucs_reads_its_own(network, mix, tmp_path):
    path = tmp_path / "masked.safetensors"
    write_network(network, path)
    read = load_safetensors_model(path).eval()
    assert isinstance(read, MaskedHTDemucs)
    with torch.inference_mode():
        torch.testing.assert_close(read(mix), network(mix))
