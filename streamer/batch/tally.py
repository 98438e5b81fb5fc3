"""The figures of a job while it runs: for the bar, for Prometheus, for the line at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamer.batch.manifest import Row, State

GAUGES: Final = {
    "workers": "Songs that the workers can have in hand at a time.",
    "speed": "Seconds of music done for each second of this run.",
    "left_seconds": "Time that the rest will take, by the songs done in this run.",
}


class Tally:
    """Counts a job's songs by state. One thread takes rows; any thread may look.

    Args:
        rows: all songs as the run finds them.
        in_hand: tells how many songs the workers have now.
        workers: how many they can have.
        now: the clock, in seconds.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        in_hand: Callable[[], int],
        workers: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._states = Counter(row.state for row in rows)
        self._in_hand, self._now, self._began = in_hand, now, now()
        self.workers = workers
        self.left = self._states[State.WAITING]
        self.taken = self.failed = 0
        self.music_seconds = 0.0

    def take(self, row: Row) -> None:
        """Count a song that was done or has failed in this run."""
        self.taken += 1
        self.failed += row.state is State.FAILED
        self.left = max(0, self.left - 1)
        self.music_seconds += row.seconds if row.state is State.DONE else 0.0
        self._states[row.state] += 1

    @property
    def elapsed_seconds(self) -> float:
        """How long the run has lasted."""
        return self._now() - self._began

    @property
    def speed(self) -> float:
        """Seconds of music done for each second of the run: a multiple of real time."""
        return self.music_seconds / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0

    @property
    def left_seconds(self) -> float:
        """How long the rest takes, if its songs are as those of this run; nan: nobody knows."""
        return self.left * self.elapsed_seconds / self.taken if self.taken else float("nan")

    def songs_by_state(self) -> dict[State, int]:
        """Return how many songs are in each state; those that a worker has are running."""
        running = min(self.left, self._in_hand())
        counts = {state: self._states[state] for state in State}
        return counts | {State.WAITING: self.left - running, State.RUNNING: running}

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics for Prometheus, as they are now."""
        songs = GaugeMetricFamily("stemstream_batch_songs", "Songs of the job.", labels=["state"])
        for state, count in self.songs_by_state().items():
            songs.add_metric([state.value], count)
        yield songs
        music = "Length of the songs that were done in this run."
        yield CounterMetricFamily("stemstream_batch_music_seconds", music, self.music_seconds)
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(f"stemstream_batch_{name}", text, getattr(self, name))
