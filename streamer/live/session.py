"""The live run, top to bottom: capture ring -> processor -> stem rings.

::

    with open_session(settings, backend) as session:
        session.start()          # the engine's thread; `step` is one turn of it
        session.wait()
    session.report()

What has to be on time is done by the callbacks (`live.realtime.callbacks`); the engine only has to
be in time on average, and the delay says by how much.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from streamer.arguments import check_kind
from streamer.audio import Samples, Stems
from streamer.live.devices.device import AudioBackend
from streamer.live.devices.player import Player
from streamer.live.devices.streams import DeviceStreams
from streamer.live.mixing.mixer import Mixer, MixState, matrices, parse_route
from streamer.live.mixing.scene import SceneFile
from streamer.live.overload.deadlines import DeadlineMonitor
from streamer.live.overload.degrade import Degrader
from streamer.live.planning.prepare import POLL_SECONDS, MakeBag, Prepared, prepare
from streamer.live.realtime.feed import StemFeed
from streamer.live.realtime.run_clock import SYSTEM_CLOCK, RunClock
from streamer.live.recording.recorder import Recorder
from streamer.live.run_log import RunLog, tell_nobody
from streamer.live.settings import LiveSettings
from streamer.live.status import Reason, Status
from streamer.live.telemetry.latency import LatencyLog
from streamer.live.telemetry.observer import Observer
from streamer.live.telemetry.verdict import LiveReport
from streamer.pipeline.worker import LiveWorker, WindowJob, WindowWorker
from streamer.processor import Live, Processor, load_bag

READ_FRAMES = 4096
WATCH_SECONDS = 0.02
LOOK_SECONDS = 0.05
SCENE_SECONDS = 0.5
FADE_OUT_BLOCKS = 3
NEVER = sys.maxsize


def open_session(
    settings: LiveSettings,
    backend: AudioBackend,
    make_bag: MakeBag = load_bag,
    *,
    tell: Callable[[str], None] = tell_nobody,
) -> LiveSession:
    """Prepare a run and open its devices.

    A device tells its latency only when it is open: where a promise does not hold with that, it is
    planned anew.

    Raises:
        StemstreamError: something that is asked for cannot be had.
    """
    check_kind("settings", settings, LiveSettings, "settings=LiveSettings()")
    device_seconds = None
    while True:
        prepared = prepare(settings, backend, make_bag, device_seconds)
        with ExitStack() as undo:
            if prepared.source is not None:
                undo.callback(prepared.source.close)
            session = LiveSession(prepared, backend, tell=tell)
            undo.callback(session.close)
            if session.open(anyway=device_seconds is not None):
                undo.pop_all()
                break
            device_seconds = session.streams.device_seconds
    from_song = prepared.source.notes if prepared.source is not None else ()
    for note in (prepared.bag.note, prepared.plan.note, *from_song):
        if note:
            tell(note)
    return session


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


class LiveSession:
    """One live run. It is what keys and remotes control (`live.control.controls.Controls`).

    ``tell`` is given what a person should know, a sentence each. ``insert`` is given each block
    that was captured, in order, and may write another in its place. ``clock`` is the time of the
    run, ``worker`` makes what runs the model: both for runs on virtual time.
    """

    def __init__(
        self,
        prepared: Prepared,
        backend: AudioBackend,
        *,
        tell: Callable[[str], None] = tell_nobody,
        insert: Callable[[Samples], None] | None = None,
        clock: RunClock = SYSTEM_CLOCK,
        worker: Callable[[int], WindowWorker] = LiveWorker,
    ) -> None:
        settings, plan, wiring = prepared.settings, prepared.plan, prepared.wiring
        self.settings, self.plan = settings, plan
        self._clock = clock
        self._insert = insert
        self._jobs: list[WindowJob] = []
        self._source = prepared.source
        self.processor = _make_processor(prepared, worker, self._jobs.append)
        names = self.processor.names
        self.streams = DeviceStreams(
            backend,
            wiring,
            len(names),
            plan.delay.frames,
            clock,
        )
        self._feeds = [StemFeed(port) for port in self.streams.ports.values()]
        degrader = Degrader(prepared, self.processor)
        self._observer = Observer(self.streams, names, plan)
        self.mixer = self._make_mixer()
        self._log = RunLog(prepared, self.streams, self._observer, degrader, self.mixer, tell)
        self._deadlines = DeadlineMonitor(wiring.samplerate, self._observer, degrader, self._log)
        self._scene: SceneFile | None = None
        if settings.scene is not None:
            self.load_scene(str(settings.scene))
        self._player: Player | None = None
        if prepared.source is not None:
            self._player = self._log.player = Player(
                prepared.source, self.streams.capture, settings
            )
        self._recorder: Recorder | None = None
        self._block = np.zeros((READ_FRAMES, 2), np.float32)
        self._next_look = self._next_scene = -math.inf
        self._error: Exception | None = None
        self._threads: list[threading.Thread] = []
        self._finished = threading.Event()
        self._closed = False
        self._status = Status(model=prepared.bag.name, samplerate=wiring.samplerate)
        self._began = clock()
        # last, since it starts the model's thread
        self.processor.prepare(wiring.samplerate, READ_FRAMES, 2)

    def _make_mixer(self) -> Mixer:
        mixer = Mixer(
            self.processor.names,
            {name: port.outputs for name, port in self.streams.ports.items()},
            [parse_route(route) for route in self.settings.route],
            fallback=self.settings.fallback,
            on_change=self._set_gains,
        )
        self._set_gains(mixer.state)
        return mixer

    # The run

    def open(self, *, anyway: bool = False) -> bool:
        """Open the devices and begin to play: silence first, until the delay is over.

        Returns False, with the devices given back, where the promise does not hold with what they
        say of their own delay; ``anyway`` goes on then.

        Raises:
            DeviceError: a device cannot be had as asked.
            SinkError: there is no place for the recording.
        """
        self.processor.warm_up()
        self.streams.open()
        promise = self.settings.latency
        most_seconds = math.inf if promise is None else promise + 1 / self.streams.samplerate
        if self.delay_seconds > most_seconds and not anyway:
            self.streams.close()
            return False
        self._record()
        self._began = self._clock()
        self._log.announce()
        self._status = self._log.status()
        return True

    def _record(self) -> None:
        settings = self.settings
        if settings.record is None:
            return
        self._recorder = self._log.recorder = Recorder(
            settings.record,
            self.processor.names,
            self.streams.samplerate,
            2,
            sample_format=settings.sample_format,
        )

    def start(self) -> None:
        """Run the engine in a thread of its own, until `wait` returns.

        The devices have another: opening one whose server hangs takes seconds.
        """
        for turn, seconds in ((self._turn, POLL_SECONDS), (self._watch, WATCH_SECONDS)):
            name = f"stemstream-{'engine' if turn == self._turn else 'devices'}"
            thread = threading.Thread(
                target=self._run, args=(turn, seconds), name=name, daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def step(self) -> None:
        """Do what there is to do now, in this thread; to be called every `POLL_SECONDS`."""
        self._watch()
        self._turn()

    def _watch(self) -> None:
        self.streams.watch(self._clock())

    def _turn(self) -> None:
        """One turn of the engine. Never waits."""
        now = self._clock()
        if self._player is not None:
            port = self.streams.live_port()
            if port is not None:  # as far as a device would have recorded that plays so far
                position = math.floor(port.counters().position)
                self._player.play(position + self.plan.delay.frames)
        self._separate()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._look(now)

    def _separate(self) -> None:
        """Take what was captured through the processor to the outputs."""
        waiting = self.streams.capture.ring.readable_frames
        if waiting > self.streams.blocksize + self.plan.delay.compute_frames:
            # something stopped this thread, or the input
            self._deadlines.held_up(self._clock())
        # no more than is there now: a device may be faster than the engine, as ALSA's null is
        for _ in range(waiting // READ_FRAMES + 1):
            frames = self.streams.capture.ring.read(self._block)
            if self._insert is not None:
                self._insert(self._block[:frames])
            for stems in self.processor.feed(self._block[:frames]):
                self._deliver(stems)
            captured_frames = self.streams.capture.counters().captured_frames
            self._deadlines.feed(self._jobs, captured_frames, self._clock())
            self._jobs.clear()

    def _deliver(self, stems: Stems) -> None:
        for feed in self._feeds:
            feed.write(stems)
        if self._recorder is not None:
            frames = min(stems.frames, self._end_frame - stems.start_frame)
            self._recorder.write(stems.start_frame, stems.data[:, : max(0, frames)])

    @property
    def _end_frame(self) -> int:
        """Where the run ends, or `NEVER` where that is not known."""
        end = self._player.end_frame if self._player is not None else None
        return min(self._last_frame, NEVER if end is None else end)

    @property
    def _last_frame(self) -> int:
        """Where the wanted duration ends."""
        duration = self.settings.duration
        return NEVER if duration is None else round(duration * self.streams.samplerate)

    def _run(self, turn: Callable[[], None], seconds: float) -> None:
        try:
            while not self._log.stopped:
                turn()
                time.sleep(seconds)
        except Exception as error:  # raised again by `wait`, in the thread that asked for the run
            self._error = error
            self.quit()
        finally:
            self._finished.set()

    # Looking

    def _look(self, now: float) -> None:
        """Every `LOOK_SECONDS`: what is not on the audio's way."""
        self._observer.look()
        self._log.note_losses()
        self._log.announce()
        if self._scene is not None and now >= self._next_scene:
            self._next_scene = now + SCENE_SECONDS
            told = self._scene.follow(self.mixer)
            if told is not None:
                self._log.note(told)
        if self._recorder is not None and (failure := self._recorder.status().failure):
            self._log.note_once(failure)
        for note in self.processor.plan.bag.take_notes():
            self._log.note(note)
        end = self._end_frame
        buffered_frames = self.streams.device_seconds[1] * self.streams.samplerate
        if self._observer.position >= end + buffered_frames:
            over = end == self._last_frame
            self.quit(Reason.DURATION_REACHED if over else Reason.SOURCE_ENDED)
        self._status = self._log.status()

    @property
    def delay_seconds(self) -> float:
        """The announced delay: what is held constant, and what the devices say of their own."""
        return self._log.delay_seconds

    def status(self) -> Status:
        """Return the last look at the run. From any thread."""
        return self._status

    def latency(self) -> LatencyLog:
        """Return the times of all windows so far."""
        return self._observer.latency

    def report(self) -> LiveReport:
        """Return what was measured so far."""
        return self._log.report(self._status, self._clock() - self._began)

    # Controls

    def load_scene(self, path: str) -> None:
        """Recall a scene, and follow its file from now on.

        Raises:
            SettingsError: it is wrong; nothing changes.
        """
        scene = SceneFile(Path(path))
        scene.recall(self.mixer)
        self._scene = scene

    def note(self, sentence: str) -> None:
        """Keep an event for the report, and tell it. From any thread."""
        self._log.note(sentence)

    def quit(self, reason: Reason = Reason.ASKED) -> None:
        """End the run, with the engine's next step."""
        if not self._log.stopped:
            self._observer.ending()
        self._log.stopped = self._log.stopped or reason

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end of the run; return whether it has ended.

        Raises:
            StemstreamError: what ended it, if that was an error.
        """
        ended = self._finished.wait(seconds)
        if self._error is not None:
            raise self._error
        return ended

    def close(self) -> None:
        """Give back the devices, finish the recording, stop the model. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        self.quit()
        with ExitStack() as stack:  # each, whatever becomes of the others; the last one first
            stack.callback(self.processor.close)
            if self._source is not None:
                stack.callback(self._source.close)
            if self._recorder is not None:
                stack.callback(self._recorder.close)
            stack.callback(self.streams.close)
            for thread in self._threads:
                thread.join()
            self._fade_out()
            self._observer.look()
            self._status = self._log.status()

    def _fade_out(self) -> None:
        """Let the sound ramp down before the streams are cut, where they still run."""
        for port in self.streams.ports.values():
            port.set_gains(
                np.zeros((2 * port.stems + 2, port.outputs), np.float32),
                np.zeros((2, port.outputs), np.float32),
            )
        if self._threads and not self.streams.lost:
            time.sleep(
                sum(self.streams.device_seconds)
                + FADE_OUT_BLOCKS * self.streams.blocksize / self.streams.samplerate
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _set_gains(self, state: MixState) -> None:
        for name, port in self.streams.ports.items():
            port.set_gains(*matrices(state, name, port.outputs))
