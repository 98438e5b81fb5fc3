"""The Fourier transforms without torch: they are those of Demucs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamer.models.networks.spectrum import Spectrum, level


@pytest.mark.parametrize("frames", [4000, 8192, 8193, 343_980])
@pytest.mark.parametrize("nfft", [1024, 4096])
def test_both_ways_are_those_of_demucs(make, noise, frames, nfft):
    network = make("htdemucs", nfft=nfft, depth=3)
    mix = noise(1, frames).swapaxes(1, 2).copy()
    theirs = network._spec(torch.from_numpy(mix))
    spectrum = Spectrum(nfft, threads=2)
    ours = spectrum.forward(mix[0])
    assert (ours.dtype, ours.flags.c_contiguous) == (np.complex64, True)
    np.testing.assert_allclose(ours.swapaxes(1, 2), theirs[0].numpy(), atol=1e-6)
    back = network._ispec(theirs, frames)[0].numpy()
    np.testing.assert_allclose(spectrum.inverse(ours, frames), back, atol=1e-6)


def test_silence_lies_before_and_after():
    spectrum = Spectrum(1024, threads=1)
    mix = np.sin(np.arange(8192) / 5, dtype=np.float32)[np.newaxis]
    columns = spectrum.forward(mix)[:, 10:20]
    part = spectrum.inverse(columns, 10 * 256)
    inside = slice(2 * 256, 8 * 256)  # two columns to each side have a share in a frame
    np.testing.assert_allclose(part[:, inside], mix[:, 12 * 256 : 18 * 256], atol=1e-5)
    assert np.abs(part[:, :100] - mix[:, 2560:2660]).max() > 0.1


def test_levels_are_those_of_torch():
    values = (np.random.default_rng(0).standard_normal((3, 50_000)) + 7).astype(np.float32)
    wide = torch.from_numpy(values).double()
    assert level(values) == pytest.approx((float(wide.mean()), float(wide.std())), rel=1e-9)
    assert level(np.zeros((2, 10), np.float32)) == (0.0, 0.0)


def test_masks_are_taken_on_the_way_back():
    draw = np.random.default_rng(0)
    spectrum = Spectrum(1024, threads=2)
    columns = spectrum.forward(draw.standard_normal((2, 20_000)).astype(np.float32))
    masks = draw.random((3, 2, *columns.shape[1:]), np.float32)
    expected = [spectrum.inverse(columns * mask, 20_000) for mask in masks]
    got = spectrum.inverse(columns, 20_000, masks.reshape(6, *columns.shape[1:]))
    np.testing.assert_allclose(got, np.concatenate(expected), atol=1e-6)
