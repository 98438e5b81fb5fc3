"""The engine in Python, for any model: input ring -> processor -> stem rings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from streamer.audio import Samples, Stems
from streamer.live.engine import EngineStatus
from streamer.live.overload.deadlines import DeadlineMonitor
from streamer.live.overload.degrade import Degrader
from streamer.live.parts import RunParts
from streamer.live.planning.prepare import Prepared
from streamer.live.realtime.feed import StemFeed
from streamer.pipeline.worker import LiveWorker, WindowJob, WindowWorker
from streamer.processor import Live, Processor

READ_FRAMES = 4096


class WindowEngine:
    """An `Engine`. ``insert`` is given each block that was captured, in order, and may write
    another in its place; ``worker`` makes what runs the model.
    """

    def __init__(
        self,
        parts: RunParts,
        *,
        insert: Callable[[Samples], None] | None = None,
        worker: Callable[[int], WindowWorker] = LiveWorker,
    ) -> None:
        self._capture = parts.streams.capture
        self._clock = parts.clock
        self._log = parts.log
        self._observer = parts.observer
        self._insert = insert
        self._jobs: list[WindowJob] = []
        self.processor = _make_processor(parts.prepared, worker, self._take)
        self._degrader = Degrader(parts.prepared, self.processor)
        self._deadlines = DeadlineMonitor(parts.observer, self._degrader, parts.log)
        self._feeds = [StemFeed(port) for port in parts.streams.ports.values()]
        self._recording = parts.recording
        self._block = np.zeros((READ_FRAMES, 2), np.float32)
        self._hop_frames = math.floor(parts.prepared.plan.hop_seconds * self._capture.samplerate)
        self._usual_frames = parts.streams.blocksize + parts.prepared.plan.delay.compute_frames

    def open(self) -> None:
        """See `Engine.open`."""
        self.processor.prepare(self._capture.samplerate, READ_FRAMES, 2)
        self.processor.warm_up()

    def step(self) -> None:
        """See `Engine.step`."""
        waiting = self._capture.ring.readable_frames
        if waiting > self._usual_frames or self._observer.early:
            # something stopped this thread or the input, or the output is not on time yet
            self._deadlines.held_up(self._clock())
        # no more than is there now: a device may be faster than the engine, as ALSA's null is
        for _ in range(waiting // READ_FRAMES + 1):
            frames = self._capture.ring.read(self._block)
            if self._insert is not None:
                self._insert(self._block[:frames])
            for stems in self.processor.feed(self._block[:frames]):
                self._deliver(stems)
            self._deadlines.feed(self._jobs, self._clock())
            if self._jobs:
                for note in self.processor.plan.bag.take_notes():
                    self._log.note(note)
            self._jobs.clear()

    def _take(self, job: WindowJob) -> None:
        # the resampler on the way out still holds the last stems of the window before
        self._jobs.append(replace(job, heard_from=self.processor.emitted_frames))

    def _deliver(self, stems: Stems) -> None:
        if stems.data.shape[2] == 1:  # of a model that is mono
            stems = replace(stems, data=np.repeat(stems.data, 2, axis=2))
        for feed in self._feeds:
            feed.write(stems)
        self._recording.write(stems.start_frame, stems.data)

    @property
    def room_frames(self) -> int:
        """See `Engine.room_frames`: a window that waits gives way to a newer one."""
        return 0 if self.processor.waiting_windows else self._hop_frames

    def status(self) -> EngineStatus:
        """See `Engine.status`."""
        rung = self._degrader.rung
        return EngineStatus("python", rung.model, self._degrader.index, rung.name)

    def close(self) -> None:
        """See `Engine.close`."""
        self.processor.close()


def _make_processor(
    prepared: Prepared, worker: Callable[[int], WindowWorker], on_job: Callable[[WindowJob], None]
) -> Processor:
    live = Live(
        compute_seconds=prepared.plan.budget_seconds,
        fallback=prepared.settings.fallback,
        history_seconds=prepared.plan.window_frames / prepared.bag.samplerate,
        worker=worker,
        on_job=on_job,
    )
    return Processor(prepared.settings, bag=prepared.bag, live=live)
