"""Scores of signals whose ratios are known, and against another library."""

from __future__ import annotations

import fast_bss_eval
import numpy as np
import pytest
import torch

from streamer.errors import SettingsError
from streamer.evaluation.metrics import bss_eval, sdr

RATE = 8000


def noise(stems: int = 3, seconds: float = 3, channels: int = 1, seed: int = 0):
    draw = np.random.default_rng(seed)
    return (0.1 * draw.standard_normal((stems, round(seconds * RATE), channels))).astype("f4")


@pytest.mark.parametrize(("scale", "decibels"), [(0.9, 20.0), (0.5, 6.0206), (0.0, 0.0), (2, 0.0)])
def test_a_stem_times_a_factor_has_a_known_ratio(scale, decibels):
    references = noise()
    np.testing.assert_allclose(sdr(references, scale * references), decibels, atol=1e-4)


def test_the_ratio_is_of_the_whole_and_of_all_channels():
    references, estimates = np.zeros((2, 1, 1000, 2), "f4")
    references[0, :100, 0] = 0.5
    estimates[0, :100, 0] = 0.5
    estimates[0, 500:600, 1] = 0.05
    np.testing.assert_allclose(sdr(references, estimates), 20, atol=1e-3)


def test_a_perfect_estimate_stays_finite_by_the_epsilon_of_the_challenge():
    references = noise()
    energy = np.square(references.astype("f8")).sum(axis=(1, 2))
    np.testing.assert_allclose(sdr(references, references), 10 * np.log10(energy / 1e-7 + 1))
    assert (bss_eval(references, references, RATE).sdr > 80).all()


def test_a_silent_reference_has_no_ratio_and_leaves_the_others_theirs():
    references, estimates = noise(), noise(seed=1)
    without = [0, 2]
    references[1] = 0
    assert np.isnan(sdr(references, estimates)).tolist() == [False, True, False]
    scores = bss_eval(references, estimates, RATE)
    alone = bss_eval(references[without], estimates[without], RATE)
    assert np.isnan(scores.sdr[1]).all()
    for name in ("sdr", "sir", "sar"):
        np.testing.assert_array_equal(getattr(scores, name)[without], getattr(alone, name))


def test_silent_estimates_have_no_ratio_of_bss_eval():
    references = noise()
    scores = bss_eval(references, np.zeros_like(references), RATE)
    assert scores.sdr.shape == (3, 3)
    assert np.isnan(scores.sdr).all()


def test_a_second_in_which_a_stem_is_silent_counts_for_none():
    references = noise()
    references[1, RATE : 2 * RATE] = 0
    scores = bss_eval(references, references + noise(seed=1), RATE)
    assert np.isnan(scores.sir).tolist() == [[False, True, False]] * 3


def test_what_is_shorter_than_a_second_has_none():
    assert bss_eval(noise(seconds=0.5), noise(seconds=0.5), RATE).sar.shape == (3, 0)


def test_a_mono_signal_in_stereo_has_ratios():
    references = noise(seconds=1).repeat(2, axis=2)
    mono = bss_eval(references[..., :1], 0.9 * references[..., :1], RATE)
    stereo = bss_eval(references, 0.9 * references, RATE)
    np.testing.assert_allclose(stereo.sdr, mono.sdr, atol=0.01)
    assert (stereo.sir > 60).all()


def test_stereo_out_of_phase_is_silence_to_the_library_and_no_error():
    references = noise(channels=2)
    references[0, :, 1] = -references[0, :, 0]
    assert np.isnan(bss_eval(references, references, RATE).sdr[0]).all()


def test_the_ratio_of_bss_eval_is_that_of_each_second():
    references = noise()
    estimates = references + 0.3 * noise(seed=1)
    whole = bss_eval(references, estimates, RATE).sdr
    for second in range(3):
        part = slice(second * RATE, (second + 1) * RATE)
        ours = sdr(references[:, part], estimates[:, part])
        np.testing.assert_allclose(whole[:, second], ours, atol=1e-3)


def test_interference_and_artifacts_are_those_of_fast_bss_eval():
    references = noise(seconds=1)
    leaked = references + 0.2 * references.sum(axis=0) + 0.1 * noise(seconds=1, seed=1)
    ours = bss_eval(references, leaked, RATE)
    _, sir, sar = fast_bss_eval.bss_eval_sources(
        # its way through numpy is broken since numpy 2
        torch.tensor(references[..., 0]).double(),
        torch.tensor(leaked[..., 0]).double(),
        compute_permutation=False,
        filter_length=512,
    )
    np.testing.assert_allclose(ours.sir[:, 0], sir, atol=0.01)
    np.testing.assert_allclose(ours.sar[:, 0], sar, atol=0.01)


@pytest.mark.parametrize("score", [sdr, lambda *arrays: bss_eval(*arrays, RATE)])
@pytest.mark.parametrize("shape", [(4, 99, 2), (3, 100, 2), (4, 100, 1), (100, 2)])
def test_other_shapes_are_refused(score, shape):
    with pytest.raises(SettingsError, match="both must be the same"):
        score(np.zeros((4, 100, 2), "f4"), np.zeros(shape, "f4"))
