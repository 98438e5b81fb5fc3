"""Rounding to integers: clipping, dither's statistics, and no trace of how the samples came."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.files.encode.wav import PcmCoder
from streamer.files.quantise import Quantiser


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("dither", [True, False])
def test_clips_and_never_wraps(bits: int, dither: bool) -> None:
    loud = np.array([[1.0], [-1.0], [7.5], [-7.5], [np.inf], [-np.inf], [np.nan]], np.float32)
    whole = Quantiser(bits, dither=dither, seed=0).feed(loud)[:, 0]
    top = 2 ** (bits - 1)
    np.testing.assert_allclose(whole[:2], [top - 1, -top], atol=2)
    assert whole[2:].tolist() == [top - 1, -top, top - 1, -top, 0]


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 500), max_size=8), bits=st.sampled_from(["int16", "int24"]))
def test_any_split_gives_the_same_bytes(cuts: list[int], bits: str) -> None:
    samples = np.random.default_rng(3).standard_normal((500, 2)).astype(np.float32)
    whole = PcmCoder(bits, dither=True, seed=5).feed(samples)
    coder = PcmCoder(bits, dither=True, seed=5)
    edges = [0, *sorted(cuts), 500]
    parts = [coder.feed(samples[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(parts) == whole


def test_dither_noise_is_triangular_unbiased_and_blind_to_the_signal() -> None:
    for level in (0.0, 0.25, 0.5):
        held = np.full((200_000, 1), level / 2**15, np.float32)
        error = Quantiser(16, dither=True, seed=1).feed(held)[:, 0] - level
        # Mean 0 and variance 1/4 LSB^2 (1/6 of the dither and 1/12 of the rounding) at any level.
        assert abs(error.mean()) < 0.005
        assert error.var() == pytest.approx(0.25, rel=0.02)
        assert np.abs(error).max() <= 1.5


def test_a_sine_below_the_last_bit_survives_16_bits() -> None:
    frames = 2**16
    bin_ = 1000
    sine = 1e-5 * np.sin(2 * np.pi * bin_ * np.arange(frames) / frames)[:, None]
    whole = Quantiser(16, dither=True, seed=1).feed(sine.astype(np.float32))[:, 0] / 2**15
    spectrum = np.abs(np.fft.rfft(whole)) * 2 / frames
    assert spectrum[bin_] == pytest.approx(1e-5, rel=0.05)
    harmonics = spectrum[[2 * bin_, 3 * bin_, 5 * bin_]]
    assert harmonics.max() < 1e-6
    assert not Quantiser(16, dither=False, seed=1).feed(sine.astype(np.float32)).any()
