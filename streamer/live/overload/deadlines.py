"""Compares each window with its deadline, to see whether the model keeps up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Protocol

from streamer.live.overload.degrade import Degrader
from streamer.live.telemetry.observer import Observer
from streamer.pipeline.worker import WindowJob

SETTLING_SECONDS: Final = 1.0
"""After the engine or a device was held up, late windows do not count for this long."""


class Notes(Protocol):
    """Where sentences go that a person should know."""

    def note(self, sentence: str) -> None:
        """Keep an event, and tell it."""

    def note_once(self, sentence: str) -> None:
        """Note what happens again and again only the first time."""


class DeadlineMonitor:
    """Tells the ladder how long each window took, and tells a person each step of the ladder.

    Windows are judged when they are there. While a model hangs nothing is, until the worker gives
    its window up: less work would not help, and what it costs afterwards would come on top. The run
    is dry meanwhile, and says so. From then on each window that is dropped counts.
    """

    def __init__(self, observer: Observer, degrader: Degrader, notes: Notes) -> None:
        self._observer, self._degrader, self._notes = observer, degrader, notes
        self._held_up_until = -math.inf

    def held_up(self, now: float) -> None:
        """Note that the engine or a device was late: late windows are not the model's fault now."""
        self._held_up_until = now + SETTLING_SECONDS

    def feed(self, jobs: Sequence[WindowJob], now: float) -> None:
        """Judge the windows whose stems have been written."""
        for job in jobs:
            missed = self._observer.finished(job, now)
            if self._observer.failure:
                self._notes.note_once(self._observer.failure)
            if job.queued_at <= self._held_up_until:
                continue  # late, but not since the model is slow
            if job.dropped and self._degrader.rung.dry:
                continue  # the model is still at an earlier one: no time to try it again
            slow = missed and _is_slow(job, self._degrader.rung.plan.hop_seconds)
            told = self._degrader.feed(now, job.compute_seconds, missed=slow)
            if told is not None:
                self._notes.note(told)


def _is_slow(job: WindowJob, hop_seconds: float) -> bool:
    """Return whether the model is why a window was missed.

    Where each hop is begun at once, the model is not why, if it took less than a hop: the devices
    brought the sound late, and a smaller model would not help. Elsewhere it always may be.
    """
    at_once = job.played_to is not None and bool(job.began_at) and job.error is None
    return not at_once or job.compute_seconds > hop_seconds
