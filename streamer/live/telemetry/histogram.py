"""A histogram: how often each value came, in constant memory."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import Final

LEAST_SECONDS: Final = 1e-6
DECADES: Final = 9


@dataclass(frozen=True, slots=True)
class Summary:
    """The summary of a histogram; all but the count are nan if it is empty."""

    count: int
    min: float
    mean: float
    p50: float
    p95: float
    p99: float
    p99_9: float
    max: float


class Histogram:
    """How often values came, in bins: constant memory for any number of values.

    A bin holds the values above its lower edge up to its upper edge; the first and the last bin are
    open. A percentile is the mean of the values in its bin. So its error is less than a bin, and
    zero if all values of the bin are equal.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = tuple(edges)
        self._counts = [0] * (len(self.edges) + 1)
        self._sums = [0.0] * (len(self.edges) + 1)
        self.min = math.inf
        self.max = -math.inf

    @classmethod
    def log(cls, bins_per_decade: int = 128) -> Histogram:
        """Return a histogram for durations from 1 us to 1000 s; the default bins are 1.8% wide."""
        bins = DECADES * bins_per_decade
        return cls([LEAST_SECONDS * 10 ** (i / bins_per_decade) for i in range(bins + 1)])

    @classmethod
    def linear(cls, least: float, most: float, bins: int) -> Histogram:
        """Return a histogram with bins of equal width."""
        return cls([least + (most - least) * i / bins for i in range(bins + 1)])

    def feed(self, value: float) -> None:
        """Count a value; values that are not finite are left out."""
        if not math.isfinite(value):
            return
        value = float(value)  # a numpy number would spread to every result
        index = bisect_left(self.edges, value)
        self._sums[index] += value
        self._counts[index] += 1
        self.min = min(self.min, value)
        self.max = max(self.max, value)

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self._counts)

    @property
    def total(self) -> float:
        """Their sum."""
        return math.fsum(self._sums)

    @property
    def mean(self) -> float:
        """Their mean; nan if there are none."""
        return self.total / self.count if self.count else math.nan

    def percentile(self, percent: float) -> float:
        """Return the value that ``percent`` of all do not exceed; nan if there are none."""
        counts = list(self._counts)
        rank = max(1, math.ceil(round(sum(counts) * percent / 100, 6)))
        below = 0
        for count, total in zip(counts, self._sums, strict=True):
            below += count
            if below >= rank:
                # the sum is rounded
                return min(max(total / count, self.min), self.max)
        return math.nan

    def summary(self) -> Summary:
        """Return the count, the mean, the percentiles and the extremes."""
        if not self.count:
            return Summary(0, *repeat(math.nan, 7))
        p50, p95, p99, p99_9 = (self.percentile(percent) for percent in (50, 95, 99, 99.9))
        return Summary(self.count, self.min, self.mean, p50, p95, p99, p99_9, self.max)

    def bins(self) -> list[tuple[float, float, int]]:
        """Return the bins from the first to the last one in use: lower edge, upper edge, count.

        An open bin ends at the least or the largest value.
        """
        taken = [index for index, count in enumerate(self._counts) if count]
        if not taken:
            return []
        edges = (min(self.min, self.edges[0]), *self.edges, max(self.max, self.edges[-1]))
        return [
            (edges[index], edges[index + 1], self._counts[index])
            for index in range(taken[0], taken[-1] + 1)
        ]

    def cumulative(self, step: int) -> Iterator[tuple[float, int]]:
        """Yield every ``step``-th edge with how many values do not exceed it; infinity last."""
        below = list(accumulate(self._counts))
        yield from zip(self.edges[::step], below[::step], strict=False)
        yield math.inf, below[-1]
