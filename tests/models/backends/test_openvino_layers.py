"""The forms of layers that OpenVINO computes fastest give what Demucs's own give."""

from __future__ import annotations

import pytest
import torch

from streamer.models.backends.openvino_layers import fast_layers
from streamer.models.networks.crop import Crop
from streamer.models.networks.hybrid import HybridCore, halo_columns, masks

FRAMES = 4000
APART = {"nfft": 1024, "depth": 3}


def stirred(network):
    """Give each layer a say: new networks scale the residual branches down to nearly nothing."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, values in network.named_parameters():
            if values.dim() == 1:
                one = name.endswith(("scale", "weight"))
                values.copy_(0.3 * torch.randn_like(values) + one)
    return network


def layers(network, crop):
    """Return what the layers of a network make of noise."""
    torch.manual_seed(2)
    channels = 2 if masks(network) else 4
    seen = torch.randn(1, channels, network.nfft // 2, crop.columns)
    mix, levels = torch.randn(1, 2, crop.frames), torch.tensor([[1.0, 0.1, 0.9, 0.2, 1.1]])
    with torch.inference_mode():
        return HybridCore(network, crop).layers(seen, mix, levels)


def assert_alike(network, crop):
    for expected, got in zip(
        layers(network, crop), layers(fast_layers(network), crop), strict=True
    ):
        error, signal = (expected - got).double().square().sum(), expected.double().square().sum()
        assert expected.shape == got.shape
        assert 10 * torch.log10(error / signal) < -110


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("htdemucs", {"dconv_mode": 3}),
        ("htdemucs", {"dconv_mode": 0}),
        ("htdemucs", {"norm_starts": 1, "norm_groups": 2}),
        ("htdemucs", {"rewrite": False}),
        ("htdemucs", {"multi_freqs": [0.5]}),
        ("htdemucs", {"t_layers": 0}),
        ("htdemucs", {"t_layers": 3, "t_group_norm": 1}),
        ("masked", {"t_layers": 2}),
    ],
)
def test_fast_layers_give_what_demucs_gives(make, kind, changes):
    network = stirred(make(kind, **(APART | changes)))
    assert_alike(network, Crop.whole(FRAMES, network.hop_length))


def test_fast_layers_give_a_part_of_a_window_too(make):
    network = stirred(make("htdemucs", **APART))
    whole = Crop.whole(FRAMES, network.hop_length)
    assert_alike(network, whole.around(slice(2000, 2500), halo_columns(network)))


def test_the_network_itself_stays_as_it_is(make):
    network = make("htdemucs", **APART)
    before = {name: values.clone() for name, values in network.state_dict().items()}
    fast_layers(network)
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())
