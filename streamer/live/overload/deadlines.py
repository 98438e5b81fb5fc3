"""Whether the model keeps up: each window that is done, or is not, is held against its time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Protocol

from streamer.live.overload.degrade import Degrader
from streamer.live.telemetry.observer import Observer
from streamer.pipeline.worker import WindowJob

SETTLING_SECONDS: Final = 1.0
"""How long after a hold-up late windows say nothing of the model."""
OVERDUE_HOPS: Final = 3
OVERDUE_SECONDS: Final = 0.3
"""So many hops without a window, and so long, beyond its lookahead and budget, and it hangs."""


class Notes(Protocol):
    """Where sentences go that a person should know."""

    def note(self, sentence: str) -> None:
        """Keep an event, and tell it."""

    def note_once(self, sentence: str) -> None:
        """Note what happens again and again only the first time."""


class DeadlineMonitor:
    """Tells the ladder what each window took, and a person where that takes a step."""

    def __init__(
        self, samplerate: int, observer: Observer, degrader: Degrader, notes: Notes
    ) -> None:
        self._samplerate = samplerate
        self._observer, self._degrader, self._notes = observer, degrader, notes
        self._held_up_until = -math.inf
        self._judged_frame = 0

    def held_up(self, now: float) -> None:
        """Take note that the engine or a device is not on time: what is late is late for that."""
        self._held_up_until = now + SETTLING_SECONDS

    def feed(self, jobs: Sequence[WindowJob], captured_frames: int, now: float) -> None:
        """Look at the windows that are done, now that their stems are where they belong."""
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
        """A model that hangs gives nothing to judge: then each hop counts as late.

        The first window, and the one after a step up, come later than a hop by the lookahead.
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

    It may always be, but where each hop is taken up at once: one that took less than its hop is
    late since the devices brought it late, and to give the model up would bring nothing.
    """
    at_once = job.played_to is not None and bool(job.began_at) and job.error is None
    return not at_once or job.compute_seconds > hop_seconds
