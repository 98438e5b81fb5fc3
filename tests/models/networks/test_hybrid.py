"""HTDemucs's forward pass in pieces: what is computed of a window is what the whole has there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamer.models.backends.torch_separator import TorchSeparator
from streamer.models.networks.crop import Crop
from streamer.models.networks.hybrid import halo_columns, is_hybrid, separate_part

FRAMES = 15600
APART = {"nfft": 1024, "depth": 3, "use_train_segment": False}
"""Of a network small enough for a test whose branches stay apart, as those of htdemucs do."""


@pytest.mark.parametrize(
    "wanted", [slice(0, FRAMES), slice(0, 1), slice(9000, 9100), slice(FRAMES - 7, FRAMES)]
)
@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("htdemucs", {}),
        ("htdemucs", {"bottom_channels": 0}),
        ("htdemucs", {"t_layers": 0}),
        ("htdemucs", {"context": 2}),
        ("masked", {}),
    ],
)
def test_a_part_is_what_the_whole_has_there(make, noise, wanted, kind, changes):
    network = make(kind, **(APART | changes))
    mix = torch.from_numpy(noise(2, FRAMES).swapaxes(1, 2).copy())
    with torch.inference_mode():
        part = separate_part(network, mix, wanted, halo_columns(network))
        torch.testing.assert_close(part, network(mix)[..., wanted], rtol=0, atol=1e-7)


def test_the_halo_is_no_wider_than_it_must_be(make, noise):
    network = make("htdemucs", **APART)
    mix = torch.from_numpy(noise(1, FRAMES).swapaxes(1, 2).copy())
    wanted = slice(9000, 9300)
    with torch.inference_mode():
        narrow = separate_part(network, mix, wanted, halo_columns(network) - 2)
        assert (narrow - network(mix)[..., wanted]).abs().max() > 1e-6


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("demucs", {}),
        ("hdemucs", {}),
        ("htdemucs", {"nfft": 1024, "depth": 4}),  # its branches meet
        ("htdemucs", {**APART, "cac": False}),  # a Wiener filter is its end
    ],
)
def test_other_networks_are_none(make, kind, changes):
    network = make(kind, **changes)
    assert not is_hybrid(network)
    assert halo_columns(network) is None


@pytest.mark.parametrize("changes", [{"dconv_mode": 3}, {"norm_starts": 2}, {"multi_freqs": [0.5]}])
def test_a_decoder_that_sees_the_whole_window_has_no_halo(make, noise, changes):
    network = make("htdemucs", **(APART | changes))
    assert is_hybrid(network)
    assert halo_columns(network) is None
    windows = noise(1, FRAMES)
    separator = TorchSeparator(network, torch.device("cpu"))
    wanted = slice(9000, 9100)
    np.testing.assert_array_equal(separator(windows, wanted), separator(windows)[:, :, wanted])


def test_the_separator_leaves_out_what_is_not_wanted(make, noise):
    network = make("htdemucs", **APART)
    separator = TorchSeparator(network, torch.device("cpu"))
    columns = []
    network.decoder[0].register_forward_pre_hook(
        lambda _, given: columns.append(given[0].shape[-1])
    )
    windows, wanted = noise(1, FRAMES), slice(9000, 9100)
    whole = separator(windows)
    part = separator(windows, wanted)
    assert part.flags.c_contiguous
    np.testing.assert_allclose(part, whole[:, :, wanted], atol=1e-7)
    assert columns == [61, 2 * halo_columns(network) + 1]


def test_a_crop_knows_its_frames():
    whole = Crop.whole(1000, 256)
    assert (whole.columns, whole.begin_frame, whole.end_frame) == (4, 0, 1000)
    assert whole.around(slice(None), 2) == whole
    crop = Crop.whole(2560, 256).around(slice(1300, 1400), 1)
    assert (crop.begin, crop.end, crop.begin_frame, crop.end_frame) == (4, 7, 1024, 1792)
    assert crop.within(slice(1300, 1400)) == slice(276, 376)
