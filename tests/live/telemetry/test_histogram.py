"""Histograms: percentiles against numpy's, bins, what is left out."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.live.telemetry.histogram import Histogram


def filled(values, histogram=None):
    """A histogram of the values."""
    histogram = histogram or Histogram.log()
    for value in values:
        histogram.feed(value)
    return histogram


@pytest.mark.parametrize("percent", [0, 50, 95, 99, 99.9, 100])
def test_percentiles_are_within_a_bin_of_the_exact_ones(percent):
    values = np.random.default_rng(1).lognormal(-3, 1, 4999)
    exact = np.percentile(values, percent, method="inverted_cdf")
    assert filled(values).percentile(percent) == pytest.approx(exact, rel=0.018)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=50))
def test_percentiles_rise_and_stay_between_the_extremes(values):
    histogram = filled(values)
    rising = [histogram.percentile(percent) for percent in (0, 10, 50, 90, 99.9, 100)]
    assert rising == sorted(rising)
    assert histogram.min == min(values) <= rising[0]
    assert rising[-1] <= max(values) == histogram.max


def test_what_never_changes_is_told_exactly():
    summary = filled([0.3124] * 1000).summary()
    assert summary.count == 1000
    assert summary.mean == pytest.approx(0.3124, abs=1e-12)
    assert {summary.min, summary.p50, summary.p95, summary.p99, summary.p99_9, summary.max} == {
        0.3124
    }


def test_one_of_a_thousand_shows_at_the_end_only():
    summary = filled([0.1] * 999 + [5.0]).summary()
    assert summary.p99 == pytest.approx(0.1)
    assert summary.p99_9 == pytest.approx(0.1)
    assert summary.max == 5.0
    summary = filled([0.1] * 998 + [5.0] * 2).summary()
    assert summary.p99_9 == 5.0


def test_no_values():
    summary = Histogram.log().summary()
    assert summary.count == 0
    assert math.isnan(summary.p50)
    assert math.isnan(summary.max)
    assert math.isnan(Histogram.log().mean)
    assert Histogram.log().bins() == []


def test_what_is_not_finite_is_left_out():
    histogram = filled([math.nan, math.inf, -math.inf, 0.25])
    assert (histogram.count, histogram.total, histogram.max) == (1, 0.25, 0.25)


def test_values_beyond_the_edges_count_in_the_open_bins():
    histogram = filled([-3.0, 0.5, 9.0], Histogram.linear(0, 1, 4))
    assert (histogram.mean, histogram.min, histogram.max) == (6.5 / 3, -3.0, 9.0)
    assert histogram.bins() == [
        (-3.0, 0.0, 1),
        (0.0, 0.25, 0),
        (0.25, 0.5, 1),
        (0.5, 0.75, 0),
        (0.75, 1.0, 0),
        (1.0, 9.0, 1),
    ]


def test_cumulative_counts_include_the_edge():
    histogram = filled([0.25, 0.26, 0.75, 2.0], Histogram.linear(0, 1, 4))
    assert list(histogram.cumulative(2)) == [(0.0, 0), (0.5, 2), (1.0, 3), (math.inf, 4)]


def test_decades_begin_at_powers_of_ten():
    decades = [edge for edge, _ in Histogram.log().cumulative(128)]
    assert decades == pytest.approx([*(10.0**power for power in range(-6, 4)), math.inf])
    assert 0.001 in [round(edge, 18) for edge in decades]


def test_memory_does_not_grow():
    histogram = filled([0.01])
    size = sys.getsizeof(histogram._counts) + sys.getsizeof(histogram._sums)
    filled(np.random.default_rng(2).uniform(-10, 1e5, 20000).tolist(), histogram)
    assert sys.getsizeof(histogram._counts) + sys.getsizeof(histogram._sums) == size
