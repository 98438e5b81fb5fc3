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
OVERDUE_HOPS: Final = 3
OVERDUE_SECONDS: Final = 0.3
"""A model hangs if it gives no window for this many hops and for this long, beyond its budget."""


class Notes(Protocol):
    """Where sentences go that a person should know."""

    def note(self, sentence: str) -> None:
        """Keep an event, and tell it."""

    def note_once(self, sentence: str) -> None:
        """Note what happens again and again only the first time."""


class DeadlineMonitor:
    """Tells the ladder how long each window took, and tells a person each step of the ladder."""

    def __init__(
        self, samplerate: int, observer: Observer, degrader: Degrader, notes: Notes
    ) -> None:
        self._samplerate = samplerate
        self._observer, self._degrader, self._notes = observer, degrader, notes
        self._held_up_until = -math.inf
        self._judged_frame = 0

    def held_up(self, now: float) -> None:
        """Note that the engine or a device was late: late windows are not the model's fault now."""
        self._held_up_until = now + SETTLING_SECONDS

    def feed(self, jobs: Sequence[WindowJob], captured_frames: int, now: float) -> None:
        """Judge the windows whose stems have been written."""
        for job in jobs:
            missed = self._observer.finished(job, now)
            if self._observer.failure:
                self._notes.note_once(self._observer.failure)
            if job.queued_at <= self._held_up_until:
                continue  # late, but not since the model is slow
            if job.dropped and self._degrader.rung.dry:
                continue  # the model is still at an earlier one: no time to try it again
            self._degrade(
                now, job.compute_seconds, missed=missed and _is_slow(job, self._hop_seconds)
            )
        if jobs:
            self._judged_frame = captured_frames
        if now > self._held_up_until:
            self._count_overdue(captured_frames, now)

    @property
    def _hop_seconds(self) -> float:
        return self._degrader.rung.plan.hop_seconds

    def _count_overdue(self, captured_frames: int, now: float) -> None:
        """Count each hop as late where a model hangs and gives no window to judge.

        The first window, and the one after a step up, come a lookahead later than others.
        """
        plan = self._degrader.rung.plan
        delay, hop_frames = plan.delay, math.ceil(plan.hop_seconds * self._samplerate)
        allowed = delay.compute_frames + delay.lookahead_frames + delay.resampling_frames
        overdue = captured_frames - self._judged_frame - allowed
        if overdue > max(OVERDUE_HOPS * hop_frames, OVERDUE_SECONDS * self._samplerate):
            self._judged_frame += hop_frames
            if not self._degrader.rung.dry:
                self._degrade(now, overdue / self._samplerate, missed=True)

    def _degrade(self, now: float, compute_seconds: float, *, missed: bool) -> None:
        told = self._degrader.feed(now, compute_seconds, missed=missed)
        if told is not None:
            self._notes.note(told)


def _is_slow(job: WindowJob, hop_seconds: float) -> bool:
    """Return whether the model is why a window was missed.

    Where each hop is begun at once, the model is not why, if it took less than a hop: the devices
    brought the sound late, and a smaller model would not help. Elsewhere it always may be.
    """
    at_once = job.played_to is not None and bool(job.began_at) and job.error is None
    return not at_once or job.compute_seconds > hop_seconds
