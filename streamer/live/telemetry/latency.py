"""The time between the input and the output of a live run, stage by stage: values only.

::

    ADC -> ring -> window full -> queued -> inference start -> inference end -> stitched -> DAC
       capture   fill          cut       queue            inference           stitch    playback

A window gets a stamp at each arrow's end (`WindowTimes`). A `Stage` is the time from one stamp to
the next, so the stages of a window add up to its delay. `LatencyLog` takes the
windows in and keeps a `Histogram` for each stage and a `Timeline` of the run, in memory that does
not grow. `BlockClock` tells when a frame passed a device, from the blocks the device asked for.

All times are seconds on one clock that does not jump, such as `time.monotonic`. A log has one
writer; another thread may read it, and may miss the last window.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

import numpy as np

from streamer.live.telemetry.histogram import Histogram

DELAY_BINS_PER_DECADE: Final = 1024
"""A delay is to be constant within a fraction of a percent, unlike how long a stage takes."""
DEVIATION_SECONDS: Final = 0.1
DEVIATION_BIN_SECONDS: Final = 0.0002


class Stage(StrEnum):
    """A part of the way, in order, without overlaps and without holes."""

    CAPTURE = "capture"
    FILL = "fill"
    CUT = "cut"
    QUEUE = "queue"
    INFERENCE = "inference"
    STITCH = "stitch"
    PLAYBACK = "playback"


MEANINGS: Final[Mapping[Stage, str]] = {
    Stage.CAPTURE: "from the converter into the input ring",
    Stage.FILL: "until the window is full: hop and lookahead",
    Stage.CUT: "until it is cut and handed over",
    Stage.QUEUE: "until the model takes it up",
    Stage.INFERENCE: "in the model",
    Stage.STITCH: "until its stems are in the output ring",
    Stage.PLAYBACK: "until the converter plays them: the reserve",
}


@dataclass(frozen=True, slots=True)
class WindowTimes:
    """When the first new frame of a window, ``start_frame``, passed each point of the way.

    ``adc`` and ``dac`` are when the converters took and played it, ``ring`` when it was written to
    the input ring, ``window_full`` when the last frame that its window needs was there, ``queued``
    when the window was handed to the worker, ``stitched`` when its stems were in the output ring.
    A stamp that is not known is nan; ``dac`` is None where its stems were
    missed: late, skipped or failed. ``early_seconds`` are how long before its time it was taken in:
    a file is read ahead. That is no delay, and no part of a stage.
    """

    start_frame: int
    adc: float
    ring: float
    window_full: float
    queued: float
    inference_start: float
    inference_end: float
    stitched: float
    dac: float | None
    early_seconds: float = 0.0

    def stages(self) -> dict[Stage, float]:
        """Return the seconds of each stage whose two stamps are known."""
        stamps = (
            self.adc,
            self.ring,
            self.window_full,
            self.queued,
            self.inference_start,
            self.inference_end,
            self.stitched,
            math.nan if self.dac is None else self.dac - self.early_seconds,
        )
        spans = zip(Stage, pairwise(stamps), strict=True)
        return {stage: end - begin for stage, (begin, end) in spans if math.isfinite(end - begin)}

    @property
    def delay_seconds(self) -> float | None:
        """From the input's converter to the output's, or None where either is not known."""
        delay = math.nan if self.dac is None else self.dac - self.early_seconds - self.adc
        return delay if math.isfinite(delay) else None


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """The windows of a stretch of the run, summed up.

    ``start_frame`` is where it begins. ``missed`` of its ``windows`` were missed. The delays and
    stages are of the windows with all stamps, and nan if there are none; the mean stages add up to
    the mean delay.
    """

    start_frame: int
    windows: int
    missed: int
    announced_seconds: float
    delay_min_seconds: float
    delay_mean_seconds: float
    delay_max_seconds: float
    stages: Mapping[Stage, float]


class Timeline:
    """A run in at most ``points`` stretches of one length, which doubles as the run goes on."""

    def __init__(self, first_frames: int, points: int = 512) -> None:
        assert points % 2 == 0
        self.point_frames = first_frames
        self._points = points
        # windows, missed, announced, windows of known delay, and what their stages add up to
        self._sums = np.zeros((points, 4 + len(Stage)))
        self._min = np.full(points, math.inf)
        self._max = np.full(points, -math.inf)

    def feed(self, times: WindowTimes, announced_seconds: float) -> None:
        """Take a window in, by its ``start_frame``; what is before frame 0 counts as frame 0."""
        frame = max(0, times.start_frame)
        while frame >= self.point_frames * self._points:
            self._halve()
        index = frame // self.point_frames
        row = self._sums[index]
        row[:3] += (1, times.dac is None, announced_seconds)
        stages, delay = times.stages(), times.delay_seconds
        if delay is not None and len(stages) == len(Stage):
            row[3] += 1
            row[4:] += list(stages.values())
            self._min[index] = min(self._min[index], delay)
            self._max[index] = max(self._max[index], delay)

    def points(self) -> list[TimelinePoint]:
        """Return the stretches that have windows, in order."""
        return [self._point(int(index)) for index in np.flatnonzero(self._sums[:, 0])]

    def _point(self, index: int) -> TimelinePoint:
        windows, missed, announced, known, *sums = self._sums[index].tolist()
        means = [total / known if known else math.nan for total in sums]
        return TimelinePoint(
            start_frame=index * self.point_frames,
            windows=int(windows),
            missed=int(missed),
            announced_seconds=announced / windows,
            delay_min_seconds=float(self._min[index]) if known else math.nan,
            delay_mean_seconds=math.fsum(means),
            delay_max_seconds=float(self._max[index]) if known else math.nan,
            stages=dict(zip(Stage, means, strict=True)),
        )

    def _halve(self) -> None:
        half = self._points // 2
        self.point_frames *= 2
        for array, join in ((self._sums, np.add), (self._min, np.minimum), (self._max, np.maximum)):
            array[:half] = join(array[0::2], array[1::2])
        self._sums[half:] = 0
        self._min[half:] = math.inf
        self._max[half:] = -math.inf


class LatencyLog:
    """Every window of a live run, in constant memory.

    ``stages`` and ``delay`` are histograms in seconds; ``deviation`` is of the delay less the one
    that was announced when the window was taken in, as long as that was known for sure (`trust`).
    ``missed`` counts the windows whose stems were late, skipped or failed.
    """

    def __init__(self, samplerate: int, announced_delay_seconds: float) -> None:
        self.samplerate = samplerate
        self.announced_delay_seconds = announced_delay_seconds
        self._sure = True
        self.stages = {stage: Histogram.log() for stage in Stage}
        self.delay = Histogram.log(DELAY_BINS_PER_DECADE)
        bins = round(2 * DEVIATION_SECONDS / DEVIATION_BIN_SECONDS)
        self.deviation = Histogram.linear(-DEVIATION_SECONDS, DEVIATION_SECONDS, bins)
        self.timeline = Timeline(samplerate)
        self.windows = 0
        self.missed = 0

    def announce(self, delay_seconds: float) -> None:
        """Set the delay from now on: a device that came back may have another."""
        self.announced_delay_seconds = delay_seconds

    def trust(self, *, sure: bool) -> None:
        """Say whether the announced delay is known for sure: only then deviations count."""
        self._sure = sure

    def feed(self, times: WindowTimes) -> None:
        """Take a window in."""
        self.windows += 1
        self.missed += times.dac is None
        for stage, seconds in times.stages().items():
            self.stages[stage].feed(seconds)
        delay = times.delay_seconds
        if delay is not None:
            self.delay.feed(delay)
            if self._sure:
                self.deviation.feed(delay - self.announced_delay_seconds)
        self.timeline.feed(times, self.announced_delay_seconds)


class BlockClock:
    """When a frame passed a device, worked out from the first frame and time of each block.

    Between two blocks the frames go at the nominal rate, but none passes after the next block has
    begun. It remembers the last ``blocks`` blocks.
    """

    def __init__(self, samplerate: int, blocks: int = 4096) -> None:
        self._samplerate = samplerate
        self._frames: deque[float] = deque(maxlen=blocks)
        self._times: deque[float] = deque(maxlen=blocks)

    def feed(self, frame: float, seconds: float) -> None:
        """Take in that a block began with ``frame`` at ``seconds``, which never goes back.

        Where the frame does, the blocks from there on count no more.
        """
        while self._frames and self._frames[-1] > frame:
            self._frames.pop()
            self._times.pop()
        self._frames.append(frame)
        self._times.append(seconds)

    def at(self, frame: int) -> float | None:
        """Return when the frame passed; None while the block after it has not begun.

        It is nan where the frame passed before the oldest block that is remembered.
        """
        if not self._frames or self._frames[-1] <= frame:
            return None
        index = bisect_right(self._frames, frame) - 1
        if index < 0:
            return math.nan
        seconds = self._times[index] + (frame - self._frames[index]) / self._samplerate
        return min(seconds, self._times[index + 1])
