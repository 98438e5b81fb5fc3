"""When each window of a live run passed each point of its way."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from streamer.live.telemetry.latency import BlockClock, LatencyLog, WindowTimes
from streamer.pipeline.worker import WindowJob

BLOCKS = 8192
WAITING_WINDOWS = 1024
"""No more windows wait for the output: if it is away, the oldest have passed unheard."""


class Stamps:
    """Takes the notes of the callbacks and the jobs of the worker; feeds a `LatencyLog`.

    Positions are input frames of the stream at ``samplerate``, jobs' at ``model_samplerate``.
    A file is taken in ahead of time: its frames are due when the output plays those that lie
    ``file_delay_frames`` before them.
    """

    def __init__(
        self,
        log: LatencyLog,
        samplerate: int,
        model_samplerate: int,
        file_delay_frames: int | None = None,
    ) -> None:
        self._log = log
        self._file_delay_frames = file_delay_frames
        self._rates = samplerate, model_samplerate
        self._adc = BlockClock(samplerate, BLOCKS)
        self._dac = BlockClock(samplerate, BLOCKS)
        self._written_frames: deque[int] = deque(maxlen=BLOCKS)
        self._written_at: deque[float] = deque(maxlen=BLOCKS)
        self._waiting: deque[tuple[int, WindowTimes]] = deque()

    def captured(self, notes: NDArray[Any]) -> None:
        """Take the notes of the capture callback, an array of `callbacks.LOG`."""
        for note in notes:
            called, before = float(note["called_seconds"]), float(note["converter_seconds"])
            if not math.isnan(before):  # a file has no converter
                self._adc.feed(int(note["frame"]), called - before)
            self._written_frames.append(int(note["frame"]))
            self._written_at.append(called)

    def played(self, notes: NDArray[Any]) -> None:
        """Take the notes of the first output's playback callback."""
        for note in notes:
            ahead = 0.0 if math.isnan(note["converter_seconds"]) else note["converter_seconds"]
            self._dac.feed(float(note["position"]), float(note["called_seconds"] + ahead))

    def finished(self, job: WindowJob, stitched: float, *, played: bool) -> None:
        """Take a window; its stems, if any, are in the output ring since ``stitched``."""
        window = job.window
        around = window.schedule.around
        assert around is not None
        first = self._device_frame(window.start_frame)
        last = self._device_frame(
            window.start_frame + window.schedule.window_frames + around[1] - 1
        )
        times = WindowTimes(
            start_frame=first,
            adc=self._converted(first),
            ring=self._written(first),
            window_full=self._written(last),
            queued=job.queued_at,
            inference_start=job.began_at or math.nan,
            inference_end=job.ended_at or math.nan,
            stitched=stitched if job.stems is not None else math.nan,
            dac=None,
        )
        if not played:
            self._log.feed(times)
            return
        self._waiting.append((first, times))
        if len(self._waiting) > WAITING_WINDOWS:
            self._log.feed(replace(self._waiting.popleft()[1], dac=math.nan))

    def settle(self, output_seconds: float = 0.0) -> None:
        """Give the log the windows that have been played meanwhile.

        ``output_seconds`` is the delay of the output's converter.
        """
        while self._waiting:
            first, times = self._waiting[0]
            dac = self._dac.at(first)
            if dac is None:
                return
            self._waiting.popleft()
            early_seconds = 0.0
            if self._file_delay_frames is not None:
                due = self._dac.at(first - self._file_delay_frames)
                assert due is not None  # it passed before the frame that has just been played
                early_seconds = due - output_seconds - times.adc
            self._log.feed(replace(times, dac=dac, early_seconds=early_seconds))

    def _device_frame(self, model_frame: int) -> int:
        samplerate, model_samplerate = self._rates
        return model_frame * samplerate // model_samplerate

    def _converted(self, frame: int) -> float:
        """Return when the converter recorded the frame; for a file, when it was read."""
        seconds = self._adc.at(frame)
        return self._written(frame) if seconds is None else seconds

    def _written(self, frame: int) -> float:
        """Return when the frame was in the input ring: its block's time."""
        index = bisect_right(self._written_frames, frame) - 1
        return self._written_at[index] if index >= 0 else math.nan
