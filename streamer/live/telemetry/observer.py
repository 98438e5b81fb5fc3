"""The measurements of a live run, gathered from its ports and its worker."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from streamer.audio import Samples
from streamer.errors import ModelError
from streamer.live.devices.streams import DeviceStreams
from streamer.live.planning.plan import LivePlan
from streamer.live.status import DeviceState, Meter
from streamer.live.telemetry.converters import ConverterDelay
from streamer.live.telemetry.latency import LatencyLog
from streamer.live.telemetry.stamps import Stamps
from streamer.live.telemetry.tryout import Tryout
from streamer.live.telemetry.waves import WaveLog
from streamer.pipeline.level import KNEE
from streamer.pipeline.worker import WindowJob, leave_out

CLIPPED = KNEE + (1 - KNEE) * math.tanh(1)
"""What full scale is bent to (`streamer.pipeline.level`)."""
LOAD_SECONDS = 2.0
"""The load is a running mean over about this time."""
DRY_SECONDS = 2.0
MOSTLY = 0.5
"""A run is mostly dry if it was so for more than this share of the last `DRY_SECONDS`."""


class Observer:
    """Counts what went wrong, measures what went well. See `streamer.live.status.Status`."""

    def __init__(self, streams: DeviceStreams, names: Sequence[str], plan: LivePlan) -> None:
        request = plan.request
        self._streams = streams
        self._names = names
        self._main = next(iter(streams.ports.values()))
        self._rates = request.samplerate, request.model_samplerate
        self.latency = LatencyLog(request.samplerate, plan.delay_seconds)
        self._stamps = Stamps(
            self.latency,
            request.samplerate,
            request.model_samplerate,
            plan.delay.frames if request.path.streams == "file" else None,
        )
        self._converters = [ConverterDelay(request.samplerate) for _ in range(2)]
        path = request.path
        self.tryout: Tryout | None = None
        if request.engine == "native" and path.bursts and path.streams != "file":
            # JACK's bursts are all alike; but where there are two clocks, blocks wander by one
            spare_blocks = path.burst_blocks or int(path.streams == "two")
            self.tryout = Tryout(request.samplerate, spare_blocks * streams.blocksize)
        self._counts_from = -sys.maxsize
        self.failure = ""
        self._dry_at_end = -1
        self._looks: deque[tuple[int, int]] = deque([(0, 0)])  # frames played, of them dry
        self.load = 0.0
        self._compute_seconds = self._sound_seconds = 0.0
        self.stems: Mapping[str, Meter] = {}
        self.outputs: Mapping[str, Sequence[Meter]] = {}
        self.clips: Mapping[str, Sequence[int]] = {
            name: (0,) * port.outputs for name, port in streams.ports.items()
        }
        self.waves = WaveLog(names, streams.samplerate)

    def finished(self, job: WindowJob, now: float) -> bool:
        """Take in a window whose stems, if any, are in the rings; return whether it was missed:
        late, skipped or failed. One that was left out, since the run is dry, is none of that.

        ``failure`` is what the model said of the last window, where it failed.
        """
        self._take_notes()
        self._count_load(job)
        if job.separate is leave_out:
            return False
        samplerate, model_samplerate = self._rates
        first_frame = -(-job.window.start_frame * samplerate // model_samplerate)
        played_to, given_at = job.played_to, job.ended_at
        if played_to is None:  # its stems came into the rings just now
            played_to, given_at = self._main.counters().position, now
        heard_from = first_frame if job.heard_from is None else job.heard_from
        late_frames = played_to - (heard_from - self._main.fade_frames)
        missed = job.dropped or job.error is not None or late_frames > 0
        if job.began_at:
            self.failure = "" if job.error is None else told(job.error)
        if self.tryout is not None and job.stems is not None:
            self.tryout.take(late_frames if self._main.aligned else -math.inf, given_at)
        if self.tryout is not None or first_frame < self._counts_from:
            return False  # it was not to be heard
        self._stamps.finished(job, given_at, played=not missed)
        return missed

    def end_tryout(self) -> int:
        """Count all that comes from now on; return how much longer the delay must be."""
        assert self.tryout is not None
        output = self._main.counters()
        more_frames = self.tryout.more_frames(output.error_frames)
        self.tryout = None
        # what is in the rings by the next block still tells of the time before
        spare_frames = self._streams.blocksize + self._main.fade_frames
        self._counts_from = math.ceil(output.position) + spare_frames
        return more_frames

    @property
    def early(self) -> bool:
        """Whether the output by which windows are late has just begun, and may be ahead of time."""
        return self._main.early

    def _count_load(self, job: WindowJob) -> None:
        hop_seconds = job.window.schedule.hop_frames / self._rates[1]
        weight = min(1.0, hop_seconds / LOAD_SECONDS) if self.load else 1.0
        busy_seconds = job.compute_seconds + job.ahead_seconds + job.caught_up_seconds
        self.load += weight * (busy_seconds / hop_seconds - self.load)
        if job.began_at and job.separate is not leave_out:
            self._compute_seconds += job.compute_seconds + job.ahead_seconds
            self._sound_seconds += hop_seconds

    @property
    def rtf(self) -> float:
        """The model's time divided by the time of the sound that it separated, in the whole run."""
        return self._compute_seconds / self._sound_seconds if self._sound_seconds else 0.0

    @property
    def deadline_misses(self) -> int:
        """How many windows were missed."""
        return self.latency.missed

    def look(self) -> None:
        """Take in what the callbacks have noted since the last look."""
        self._take_notes()
        self._look_at_dry()
        self._stamps.settle(self.device_seconds[1])
        levels = {name: port.meters() for name, port in self._streams.ports.items()}
        first, outputs = next(iter(levels.values())), dict(self.outputs)
        away = {one.name for one in self._streams.devices() if one.state is DeviceState.GONE}
        for name, one in levels.items():
            if not one.frames and name in outputs and name not in away:
                continue  # a block is longer than the time between two looks: that is no silence
            outputs[name] = _meters(one.output_peaks, one.output_mean_squares)
            if one is first:
                meters = _meters(first.stem_peaks, first.stem_mean_squares)
                self.stems = dict(zip(self._names, meters, strict=True))
        self.outputs = outputs
        self.clips = {
            name: tuple((self.clips[name] + (one.output_peaks >= CLIPPED)).tolist())
            for name, one in levels.items()
        }
        self.waves.feed(first.block_frames, first.block_peaks)

    def _look_at_dry(self) -> None:
        looks, least_frames = self._looks, DRY_SECONDS * self._rates[0]
        if self.played_frames == looks[-1][0]:
            return  # the output's device is away
        looks.append((self.played_frames, self.dry_frames))
        while looks[-1][0] - looks[1][0] >= least_frames:
            looks.popleft()

    @property
    def mostly_dry(self) -> bool:
        """Whether the stems were missing for most of the last seconds, whatever is the reason."""
        (played_before, dry_before), (played, dry) = self._looks[0], self._looks[-1]
        long = played - played_before >= DRY_SECONDS * self._rates[0]
        return long and dry - dry_before > MOSTLY * (played - played_before)

    def _take_notes(self) -> None:
        taken = self._streams.capture.log()
        self._stamps.captured(taken)
        exact = self._streams.exact
        if not exact[0]:
            self._converters[0].feed(taken)
        for port in self._streams.ports.values():
            notes = port.log()
            if port is self._main:
                if self.tryout is None:
                    self._stamps.played(notes)
                if not exact[1]:
                    self._converters[1].feed(notes)

    @property
    def device_seconds(self) -> tuple[float, float]:
        """The delay of the input and the first output: measured, unless they report it exactly."""
        said, exact = self._streams.device_seconds, self._streams.exact
        taken, played = (
            claim if sure or heard.seconds is None else heard.seconds
            for heard, claim, sure in zip(self._converters, said, exact, strict=True)
        )
        return taken, played

    def reopened(self) -> None:
        """Note that a stream was opened again, and may have another delay."""
        for heard in self._converters:
            heard.listen()

    @property
    def listening(self) -> bool:
        """Whether the devices' delay is not known yet."""
        exact = self._streams.exact
        return any(
            heard.listening and not sure
            for heard, sure in zip(self._converters, exact, strict=True)
        )

    @property
    def xruns(self) -> int:
        """Callbacks that found too little or no room, as the devices and the rings tell."""
        taken = self._streams.capture.counters()
        outputs = [port.counters() for port in self._streams.ports.values()]
        return taken.overflow_flags + sum(out.underflow_flags for out in outputs)

    @property
    def dropped_frames(self) -> int:
        """Frames of the input that were lost, and frames of the first output that stayed silent."""
        played = self._main.counters()
        return self._streams.capture.counters().lost_frames + played.dry_missing_frames

    @property
    def dry_frames(self) -> int:
        """Frames that the first output has played without stems, as long as any were made."""
        return self._dry_at_end if self._dry_at_end >= 0 else self._main.counters().dry_frames

    def ending(self) -> None:
        """Note that no more stems will come: dry frames from here on are the end of the run."""
        self._dry_at_end = self._main.counters().dry_frames

    @property
    def position(self) -> float:
        """The input frame that the first output plays next."""
        return self._main.counters().position

    @property
    def played_frames(self) -> int:
        """Frames that the first output has played."""
        return self._main.counters().played_frames


def told(error: Exception) -> str:
    """Return a model's error in a sentence, without the position."""
    if isinstance(error, ModelError):
        return str(error.__cause__ or error)
    return f"the model failed ({error!r}); try another model, or fewer threads"


def _meters(peaks: Samples, mean_squares: Samples) -> list[Meter]:
    return [
        Meter(float(peak), float(rms))
        for peak, rms in zip(peaks, np.sqrt(mean_squares), strict=True)
    ]
