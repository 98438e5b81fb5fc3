"""What is said of all songs together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.data_set import make_stems

from streamer.evaluation.scores import SongScore, StemScore, score, summarize

RATE = 8000


def song(**ratios):
    return SongScore("song", 1.0, {stem: StemScore(*values) for stem, values in ratios.items()})


def test_medians_and_means_are_over_songs_and_the_last_row_is_over_stems():
    songs = [
        song(bass=(1.0, 2.0, 3.0, 4.0), drums=(0.0, 0.0, 0.0, 0.0)),
        song(bass=(2.0, 3.0, 4.0, 5.0), drums=(0.0, 0.0, 0.0, 0.0)),
        song(bass=(9.0, 4.0, 5.0, 6.0), drums=(0.0, 0.0, 0.0, 0.0)),
    ]
    summaries = summarize(songs)
    assert list(summaries) == ["bass", "drums", "mean"]
    bass = summaries["bass"]
    assert (bass.median_sdr_db, bass.mdx_sdr_db, bass.songs, bass.silent) == (2, 4, 3, 0)
    assert (bass.bss_sdr_db, bass.bss_sir_db, bass.bss_sar_db) == (3, 4, 5)
    assert summaries["mean"].median_sdr_db == 1
    assert summaries["mean"].bss_sar_db == 2.5


def test_songs_with_a_silent_reference_are_left_out_and_counted():
    summaries = summarize([song(bass=(math.nan,)), song(bass=(5.0,))])
    assert (summaries["bass"].median_sdr_db, summaries["bass"].songs) == (5, 1)
    assert summaries["bass"].silent == summaries["mean"].silent == 1
    assert math.isnan(summaries["bass"].bss_sdr_db)


def test_a_stem_that_is_silent_everywhere_has_no_score_and_no_part_in_the_mean():
    summaries = summarize([song(bass=(math.nan,), drums=(3.0,))])
    assert math.isnan(summaries["bass"].median_sdr_db)
    assert summaries["mean"].median_sdr_db == 3


@pytest.mark.parametrize("with_bss_eval", [False, True])
def test_a_song_is_scored_by_the_second_if_wanted(with_bss_eval):
    true = make_stems(RATE)[:2, :, :1]
    stems = {"bass": (true[0], 0.9 * true[0]), "drums": (true[1], 0.5 * true[1])}
    scored = score("song", stems, RATE, with_bss_eval=with_bss_eval)
    assert scored.seconds == 1
    assert scored.stems["bass"].sdr_db == pytest.approx(20, abs=1e-3)
    assert scored.stems["drums"].sdr_db == pytest.approx(6.02, abs=1e-2)
    assert math.isnan(scored.stems["drums"].bss_sdr_db) is not with_bss_eval
    if with_bss_eval:
        assert scored.stems["drums"].bss_sdr_db == pytest.approx(6.02, abs=1e-2)
        assert np.isfinite([scored.stems["bass"].bss_sir_db, scored.stems["bass"].bss_sar_db]).all()
