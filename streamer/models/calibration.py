"""Time a few windows on this machine, and keep the result for the next run.

::

    subject = Subject("htdemucs_mini", backend="torch cpu float32", threads=2)
    calibration = calibrate(make_bag, [2.0, 1.0], subject, store=CalibrationStore())
    calibration.timings       # one `WindowTiming` for each window length, in the given order
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from streamer.audio import Samples
from streamer.cache import JsonStore, machine
from streamer.models.separator import Bag, Separator, Streaming
from streamer.user_folders import cache_folder

Clock = Callable[[], float]

WARM_UP_ROUNDS: Final = 2
"""A network is slow at the first window of a new length, and a little slow at the second: it gets
memory and chooses kernels."""
FEWEST_ROUNDS: Final = 5
MOST_ROUNDS: Final = 40
ENOUGH_SECONDS: Final = 2.0
"""After the least number of rounds, no further one begins after this time."""
TAIL: Final = 1.2
"""The p99 counts as at least this many medians: a few windows do not show the tail."""
STEADY: Final = 1.4
"""If the p99 is more medians than this, the machine is busy: the timing is used, but not kept.
Beside other programs on two cores the embedded model took up to 50 times as long as alone."""
MAX_AGE_SECONDS: Final = 7 * 24 * 3600.0
LAYOUT: Final = 4
"""Raise this when the meaning of the stored values changes, or what they were taken of: other
layouts are timed again."""


@dataclass(frozen=True, slots=True)
class WindowTiming:
    """The cost of one window: seconds for one pass of every member of the bag."""

    window_frames: int
    p50_seconds: float
    p99_seconds: float

    @property
    def steady(self) -> bool:
        """Whether the rounds were so equal that no other program can have disturbed them."""
        return self.p99_seconds <= STEADY * self.p50_seconds

    def scaled(self, passes: int) -> WindowTiming:
        """Return the timing of ``passes`` passes, one after the other."""
        return WindowTiming(
            self.window_frames, self.p50_seconds * passes, self.p99_seconds * passes
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """The thing that is timed. ``backend`` names library, device and number type.

    ``stems`` are the wanted ones (empty: all), since a bag runs only the members for them.
    ``weights`` tells models of one name apart.
    """

    model: str
    backend: str
    threads: int
    stems: tuple[str, ...] = ()
    weights: str = ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The timings of a model here, one for each window length; ``samplerate`` is the model's."""

    subject: Subject
    samplerate: int
    timings: tuple[WindowTiming, ...]
    cached: bool


def calibrate(
    make_bag: Callable[[float], Bag],
    window_seconds: Sequence[float],
    subject: Subject,
    *,
    store: CalibrationStore | None = None,
    clock: Clock = time.perf_counter,
) -> Calibration:
    """Return how long windows of each length take.

    Lengths that the store does not know are timed, and kept if the machine was not busy.
    ``make_bag`` makes the model for a window length in seconds; it is not called for known lengths.
    ``clock`` returns seconds.

    Raises:
        ModelError: the model fails.
    """
    assert window_seconds
    known = dict(store.read(subject)) if store is not None else {}
    missing = [seconds for seconds in window_seconds if seconds not in known]
    for seconds in missing:
        bag = make_bag(seconds)
        known[seconds] = bag.samplerate, time_bag(bag, clock=clock)
        if store is not None and known[seconds][1].steady:
            store.write(subject, seconds, *known[seconds])
    samplerate = known[window_seconds[0]][0]
    timings = tuple(known[seconds][1] for seconds in window_seconds)
    return Calibration(subject, samplerate, timings, cached=not missing)


def time_bag(
    bag: Bag, *, clock: Clock = time.perf_counter, sleep: Callable[[float], None] = time.sleep
) -> WindowTiming:
    """Time a live window of the bag's own length; at most its newest half is wanted.

    A model that remembers gets the new part of such a window at the time when it would come:
    between two short calls processors slow down and caches go cold. ``sleep`` waits for that time.

    Each round is one pass of every member.

    Raises:
        ModelError: the model fails.
    """
    window_frames = max(separator.window_frames for separator in bag.separators)
    calls = [live_call(separator) for separator in bag.separators]
    rounds: list[float] = []
    timed: list[float] = []
    while len(timed) < FEWEST_ROUNDS or (len(timed) < MOST_ROUNDS and sum(timed) < ENOUGH_SECONDS):
        begun = clock()
        for call in calls:
            call()
        rounds.append(clock() - begun)
        if bag.stride is not None:
            new_frames = bag.stride.new_frames(window_frames)
            sleep(max(0.0, begun + new_frames / bag.samplerate - clock()))
        timed = rounds[WARM_UP_ROUNDS:]
    p50_seconds = float(np.median(timed))
    p99_seconds = float(np.quantile(timed, 0.99, method="higher"))
    return WindowTiming(window_frames, p50_seconds, max(p99_seconds, TAIL * p50_seconds))


def live_call(separator: Separator) -> Callable[[], Samples]:
    """Return a function that separates the next window of noise, as a live run does."""
    if isinstance(separator, Streaming):
        new_frames = separator.stride.new_frames(separator.window_frames)
        return functools.partial(separator.begin(), noise(new_frames, separator.channels))
    frames = separator.input_frames(separator.window_frames)
    window = noise(frames, separator.channels)[np.newaxis]
    return functools.partial(separator, window, slice(frames // 2, None))


def noise(frames: int, channels: int) -> Samples:
    """Return noise to time with, ``(frames, channels)``: silence may take a short cut."""
    return 0.1 * np.random.default_rng(0).standard_normal((frames, channels), np.float32)


class CalibrationStore:
    """Timings on disk, for each subject on each machine.

    Args:
        folder: where they are (default: the user's cache folder).
        max_age_seconds: older timings are made again; 0 times everything again.
        now: seconds since 1970.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        max_age_seconds: float = MAX_AGE_SECONDS,
        now: Clock = time.time,
    ) -> None:
        self._store = JsonStore(folder or cache_folder("calibration"), LAYOUT)
        self._max_age_seconds = max_age_seconds
        self._now = now

    def read(self, subject: Subject) -> Mapping[float, tuple[int, WindowTiming]]:
        """Return sample rate and timing of each known window length, by its seconds."""
        known = {}
        for seconds, entry in self._store.read(_identity(subject)).items():
            with contextlib.suppress(TypeError, ValueError, KeyError, OverflowError):
                age = self._now() - float(entry["measured_at"])
                if 0 <= age < self._max_age_seconds:
                    known[float(seconds)] = int(entry["samplerate"]), _timing(entry)
        return known

    def write(
        self, subject: Subject, window_seconds: float, samplerate: int, timing: WindowTiming
    ) -> None:
        """Keep the timing of one window length beside the others."""
        entry = {
            **dataclasses.asdict(timing),
            "samplerate": samplerate,
            "measured_at": self._now(),
        }
        there = self._store.read(_identity(subject))
        self._store.write(_identity(subject), {**there, repr(float(window_seconds)): entry})


def _timing(entry: Mapping[str, float]) -> WindowTiming:
    timing = WindowTiming(
        int(entry["window_frames"]), float(entry["p50_seconds"]), float(entry["p99_seconds"])
    )
    if not 0 < timing.p50_seconds <= timing.p99_seconds < math.inf or timing.window_frames < 1:
        raise ValueError
    return timing


def _identity(subject: Subject) -> dict[str, object]:
    return {"machine": machine(), "subject": dataclasses.asdict(subject)}
