"""The engine in compiled code, for models that go along the stream: Python only looks on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from ringbuffer import Ring
from streamer.audio import Samples
from streamer.errors import ModelError
from streamer.live.engine import EngineStatus
from streamer.live.overload.deadlines import DeadlineMonitor
from streamer.live.overload.degrade import Degrader
from streamer.live.parts import RunParts
from streamer.live.realtime.hop_engine import CHANNELS, HopEngine, HopModel
from streamer.live.realtime.hop_loop import FAILED, IDLE, MADE, SKIPPED
from streamer.live.realtime.port import Record
from streamer.pipeline.derive import derive
from streamer.pipeline.passes import Plan
from streamer.pipeline.schedule import Schedule
from streamer.pipeline.windows import Window
from streamer.pipeline.worker import WindowJob, leave_out

TAP_SECONDS: Final = 4.0
"""How long Python may be held up before the recording lacks something."""
TAP_FRAMES: Final = 4096
_NO_FRAMES: Final = np.zeros((0, CHANNELS), np.float32)


class NativeEngine:
    """An `Engine` whose sound never passes through Python: the thread of a `HopEngine` makes it.

    On virtual time there is no thread, and `step` makes it. ``make_hops`` makes the `HopEngine`.
    """

    def __init__(self, parts: RunParts, *, make_hops: Callable[..., HopEngine] = HopEngine) -> None:
        prepared, rate = parts.prepared, parts.streams.samplerate
        bag, settings = prepared.bag, prepared.settings
        stride = bag.stride
        assert stride is not None
        self._clock, self._capture = parts.clock, parts.streams.capture
        self._recording = parts.recording
        # a recording may begin at any moment
        self._tap = Ring(round(TAP_SECONDS * rate), CHANNELS * len(parts.names) + 1)
        self._rows = np.zeros((TAP_FRAMES, self._tap.channels), np.float32)
        model = HopModel.of(bag, derive(bag.name, bag.names, settings), settings)
        self._hops = make_hops(
            model,
            self._capture,
            list(parts.streams.ports.values()),
            clock=parts.clock,
            tap=self._tap,
        )
        filters_frames = self._hops.filters_frames
        self._schedule = Schedule.live(
            stride.window_frames(1) + filters_frames,
            stride.hop_frames,
            stride.lookahead_frames + filters_frames,
            0,
        )
        self._degrader = Degrader(prepared, self)
        self._deadlines = DeadlineMonitor(parts.observer, self._degrader, parts.log)

    def open(self) -> None:
        """See `Engine.open`."""
        self._hops.warm_up()
        if self._clock.virtual is None:
            self._hops.start()

    def step(self) -> None:
        """See `Engine.step`: take note of what the loop has done."""
        self._hops.step()
        jobs = [self._job(note) for note in self._hops.notes()]
        self._record()
        self._deadlines.feed(jobs, self._clock())

    @property
    def room_frames(self) -> int:
        """See `Engine.room_frames`: each hop waits for its turn."""
        return self._capture.ring.writable_frames

    def switch(self, _plan: Plan, *, idle: bool = False) -> None:
        """Give up the model, or take it up again: there is nothing between."""
        self._hops.idle(idle=idle)

    def status(self) -> EngineStatus:
        """See `Engine.status`."""
        rung = self._degrader.rung
        return EngineStatus("native", rung.model, self._degrader.index, rung.name)

    def close(self) -> None:
        """See `Engine.close`."""
        self._hops.stop()

    def _job(self, note: Record) -> WindowJob:
        """Return what became of a hop, as for a window: all is counted so."""
        outcome, begun = int(note["outcome"]), note["outcome"] != SKIPPED
        return WindowJob(
            Window(0, int(note["frame"]), self._schedule.hop_frames, 0, _NO_FRAMES, self._schedule),
            leave_out if outcome == IDLE else _in_the_loop,
            queued_at=float(note["seen_seconds"]),
            began_at=float(note["began_seconds"]) if begun else 0.0,
            ended_at=float(note["ended_seconds"]) if begun else 0.0,
            stems=_NO_FRAMES if outcome == MADE else None,
            error=ModelError(_NO_NUMBERS) if outcome == FAILED else None,
            done=True,
            played_to=float(note["played_to"]),
            ahead_seconds=float(note["ahead_seconds"]),
            caught_up_seconds=float(note["caught_up_seconds"]),
        )

    def _record(self) -> None:
        tap = self._tap
        while frames := tap.read(self._rows):
            rows = self._rows[:frames, :-1]
            data = rows.reshape(frames, -1, CHANNELS).transpose(1, 0, 2)
            self._recording.write(tap.start_frame - frames, data)


_NO_NUMBERS: Final = (
    "the model gave values that are no numbers; its weights are damaged: try another"
)


def _in_the_loop(_windows: Sequence[Window]) -> Sequence[Samples]:
    """Stand for what separates hops: the loop does it, and nobody calls this."""
    raise AssertionError
