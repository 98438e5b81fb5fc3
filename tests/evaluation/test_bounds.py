"""What the bounds score on signals where that is known."""

from __future__ import annotations

import numpy as np
import pytest
from support.data_set import make_stems, write_song

from streamer.evaluation.bounds import BOUNDS
from streamer.evaluation.excerpts import read_excerpt
from streamer.evaluation.metrics import sdr
from streamer.evaluation.songs import find_songs

RATE = 8000


@pytest.fixture
def excerpt(tmp_path):
    def make(stems):
        (song,) = find_songs(write_song(tmp_path / "song", stems, RATE))
        return read_excerpt(song, None)

    return make


def test_silence_is_0_db(excerpt):
    one = excerpt(make_stems(RATE))
    np.testing.assert_allclose(sdr(one.references, BOUNDS["silence"](one)), 0, atol=1e-6)


def test_the_mixture_has_the_other_stems_as_its_error(excerpt):
    one = excerpt(make_stems(RATE))
    others = one.mixture - one.references
    wanted = 10 * np.log10(np.square(one.references).sum((1, 2)) / np.square(others).sum((1, 2)))
    np.testing.assert_allclose(sdr(one.references, BOUNDS["mixture"](one)), wanted, atol=1e-3)


def test_quarters_add_up_to_the_mixture(excerpt):
    one = excerpt(make_stems(RATE))
    np.testing.assert_allclose(BOUNDS["mixture/4"](one).sum(axis=0), one.mixture, atol=1e-6)


def test_the_mask_parts_what_does_not_overlap(excerpt):
    time = np.arange(2 * RATE) / RATE
    tones = [np.sin(2 * np.pi * hertz * time) for hertz in (200, 800, 1600, 3000)]
    stems = 0.2 * np.stack(tones)[..., None].repeat(2, axis=2).astype("f4")
    one = excerpt(stems)
    masked = BOUNDS["irm"](one)
    assert masked.dtype == np.float32
    assert (sdr(one.references, masked) > 30).all()


def test_the_masks_add_up_to_the_mixture_and_beat_it(excerpt):
    one = excerpt(make_stems(RATE + 13))
    masked = BOUNDS["irm"](one)
    np.testing.assert_allclose(masked.sum(axis=0), one.mixture, atol=1e-5)
    assert (sdr(one.references, masked) > sdr(one.references, BOUNDS["mixture"](one)) + 3).all()


def test_a_silent_song_stays_silent_and_is_no_error(excerpt):
    one = excerpt(np.zeros((4, RATE, 2), "f4"))
    assert not BOUNDS["irm"](one).any()
