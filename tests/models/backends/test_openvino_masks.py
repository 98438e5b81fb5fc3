"""Spleeter's networks on OpenVINO, against torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from streamer.errors import ModelError
from streamer.models import load
from streamer.models.backends.openvino_library import has_openvino
from streamer.models.networks.checkpoint import read_network, write_network
from streamer.models.networks.mask_shape import HALVED, HOP
from streamer.models.networks.mask_unet import MaskUNets

pytestmark = pytest.mark.skipif(not has_openvino(), reason="needs openvino")


@pytest.fixture(params=[False, True])
def path(request, tmp_path):
    torch.manual_seed(1)
    file = tmp_path / "small.safetensors"
    write_network(MaskUNets(["voice", "rest"], bottleneck=8, rest=request.param), file)
    return file


def separators(path):
    return [
        load(str(path), device="cpu", backend=library).members[0].separator
        for library in ("openvino", "torch")
    ]


@pytest.mark.parametrize("frames", [1, HOP - 1, 5 * HOP + 3, HALVED * HOP, HALVED * HOP + 1])
def test_it_gives_what_torch_gives(path, noise, frames):
    ours, torchs = separators(path)
    windows = 0.1 * noise(2, frames)
    expected = torchs(windows)
    assert expected.shape == (2, 2, frames, 2)
    np.testing.assert_allclose(ours(windows), expected, atol=1e-6)
    assert ours.input_frames(frames) == torchs.input_frames(frames)
    assert ours.window_frames == torchs.window_frames
    assert not ours(0 * windows).any()


@pytest.mark.parametrize("kept", [slice(0, 10), slice(3000, 9000), slice(-100, None)])
def test_a_part_is_that_part_of_the_whole(path, noise, kept):
    ours, _ = separators(path)
    window = 0.1 * noise(1, 10 * HOP + 7)
    np.testing.assert_allclose(ours(window, kept), ours(window)[:, :, kept], atol=1e-6)


def test_numbers_that_are_none_are_told(tmp_path, noise):
    path = tmp_path / "broken.safetensors"
    network = MaskUNets(["voice", "rest"], bottleneck=8)
    network.unets[0].last.bias.data[:] = torch.nan
    write_network(network, path)
    ours, _ = separators(path)
    with pytest.raises(ModelError, match="no numbers"):
        ours(noise(1, 10 * HOP))
    assert read_network(path) is not None


def test_what_is_kept_needs_no_torch(tmp_path):
    code = (
        "import sys, numpy as np; from streamer.models import load\n"
        "bag = load('mini_duo', device='cpu', backend='openvino', window=1); bag.load_ahead()\n"
        "bag.members[0].separator(np.ones((1, 44100, 2), np.float32))\n"
        "print('torch' in sys.modules)"
    )
    place = {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    ran = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **place},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert ran == ["True\n", "False\n"]
