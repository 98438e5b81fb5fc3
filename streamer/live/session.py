"""The live run, top to bottom: capture ring -> processor -> stem rings.

::

    with open_session(settings, backend) as session:
        session.start()          # the engine's thread; `step` is one turn of it
        session.wait()
    session.report()

What has to be on time is done by the callbacks (`streamer.live.callbacks`); the engine only has to
be in time on average, and the delay says by how much.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from streamer.audio import Stems
from streamer.latency import LatencyLog
from streamer.live.degrade import Degrader
from streamer.live.devices import Backend
from streamer.live.feed import StemFeed
from streamer.live.mixer import Mixer, MixState, matrices, parse_route
from streamer.live.observer import Observer
from streamer.live.player import Player
from streamer.live.prepare import POLL_SECONDS, MakeBag, Prepared, prepare
from streamer.live.recorder import Recorder
from streamer.live.rig import Rig
from streamer.live.scene import SceneFile
from streamer.live.settings import LiveSettings
from streamer.live.stamps import TimeField
from streamer.live.status import Reason, State, Status
from streamer.live.verdict import Event, LiveReport
from streamer.processor import Live, Processor, load_bag
from streamer.worker import Clock, Job, LiveWorker, WindowWorker

READ_FRAMES = 4096
LOOK_SECONDS = 0.05
SCENE_SECONDS = 0.5
EVENTS = 1000


def _nobody(sentence: str) -> None:
    """Tell a sentence to nobody."""


def open_session(
    settings: LiveSettings,
    backend: Backend,
    make_bag: MakeBag = load_bag,
    *,
    tell: Callable[[str], None] = _nobody,
) -> LiveSession:
    """Prepare a run and open its devices.

    A device tells its latency only when it is open: where a promise does not hold with that, it is
    planned anew.

    Raises:
        StemstreamError: something that is asked for cannot be had.
    """
    prepared = prepare(settings, backend, make_bag)
    if prepared.bag.note:
        tell(prepared.bag.note)
    session = LiveSession(prepared, backend, tell=tell)
    session.open()
    promise = settings.latency
    if promise is not None and session.delay_seconds > promise + 1 / session.rig.samplerate:
        device_seconds = session.rig.device_seconds
        session.close()
        prepared = prepare(settings, backend, make_bag, device_seconds)
        session = LiveSession(prepared, backend, tell=tell)
        session.open()
    return session


class LiveSession:
    """One live run. It is what keys and remotes control (`streamer.live.controls.Controls`).

    ``tell`` is given what a person should know, a sentence each. ``clock`` is the time of the run;
    ``time_field`` says which time of the callbacks' notes is on it, ``worker`` makes what runs the
    model: all three for runs on virtual time.
    """

    def __init__(
        self,
        prepared: Prepared,
        backend: Backend,
        *,
        tell: Callable[[str], None] = _nobody,
        clock: Clock = time.monotonic,
        time_field: TimeField = "begin_seconds",
        worker: Callable[[], WindowWorker] = LiveWorker,
    ) -> None:
        settings, plan, wiring = prepared.settings, prepared.plan, prepared.wiring
        self.settings, self.plan = settings, plan
        self._clock = clock
        self._tell = tell
        self._jobs: list[Job] = []
        self.processor = Processor(
            settings,
            bag=prepared.bag,
            live=Live(
                compute_seconds=plan.budget_seconds,
                fallback=settings.fallback,
                history_seconds=plan.window_frames / prepared.bag.samplerate,
                worker=worker,
                on_job=self._jobs.append,
            ),
        )
        self.processor.prepare(wiring.samplerate, READ_FRAMES, 2)
        self.processor.warm_up()
        names = self.processor.names
        self.rig = Rig(backend, wiring, len(names), plan.delay.frames)
        self._feeds = [StemFeed(port) for port in self.rig.ports.values()]
        self._degrader = Degrader(prepared, self.processor)
        self._observer = Observer(self.rig, names, plan, time_field)
        self.mixer = Mixer(
            names,
            {name: port.outputs for name, port in self.rig.ports.items()},
            [parse_route(route) for route in settings.route],
            fallback=settings.fallback,
            on_change=self._set_gains,
        )
        self._set_gains(self.mixer.state)
        self._scene: SceneFile | None = None
        if settings.scene is not None:
            self.load_scene(str(settings.scene))
        self._source = prepared.source
        self._player: Player | None = None
        if prepared.source is not None:
            self._player = Player(
                prepared.source, self.rig.capture, settings.resampler, loop=settings.loop
            )
        self._recorder: Recorder | None = None
        if settings.record is not None:
            self._recorder = Recorder(
                settings.record,
                names,
                wiring.samplerate,
                2,
                sample_format=settings.sample_format,
            )
        self._block = np.zeros((READ_FRAMES, 2), np.float32)
        self._paced: tuple[object, int] = (None, 0)
        self._next_look = self._next_scene = -math.inf
        self._lost: set[int] = set()
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._told: set[str] = set()
        self._stopped = Reason.NONE
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        self._finished = threading.Event()
        self._status = Status(model=prepared.bag.name, samplerate=wiring.samplerate)
        self._started = datetime.now(UTC)
        self._began = self._clock()

    # The run

    def open(self) -> None:
        """Open the devices and begin to play: silence first, until the delay is over.

        Raises:
            DeviceError: a device cannot be had as asked.
        """
        self.rig.open()
        self._began = self._clock()
        self._observer.latency.announce(self.delay_seconds)
        self._status = self._make_status()

    def start(self) -> None:
        """Run the engine in a thread of its own, until `wait` returns."""
        self._thread = threading.Thread(target=self._run, name="stemstream-engine", daemon=True)
        self._thread.start()

    def step(self) -> None:
        """Do what there is to do now; to be called every `POLL_SECONDS`. Never waits."""
        now = self._clock()
        self.rig.watch(now)
        if self._player is not None:
            self._pace(self._player)
        self._separate()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._look(now)

    def _separate(self) -> None:
        """Take what was captured through the processor to the outputs."""
        # no more than is there now: a device may be faster than the engine, as ALSA's null is
        for _ in range(self.rig.capture.ring.readable_frames // READ_FRAMES + 1):
            frames = self.rig.capture.ring.read(self._block)
            for stems in self.processor.feed(self._block[:frames]):
                self._deliver(stems)
            self._judge()

    def _deliver(self, stems: Stems) -> None:
        for feed in self._feeds:
            feed.write(stems)
        if self._recorder is not None:
            self._recorder.write(stems.start_frame, stems.data)

    def _judge(self) -> None:
        """Look at the windows that are done, now that their stems are where they belong."""
        for job in self._jobs:
            now = self._clock()
            missed = self._observer.finished(job, now)
            if job.error is not None:
                self._tell_once(str(job.error))
            told = self._degrader.feed(now, job.ended_at - job.began_at, missed=missed)
            if told is not None:
                self._note(told)
        self._jobs.clear()

    def _pace(self, player: Player) -> None:
        """Play the file on, by as much as the first output that lives has played."""
        port = self.rig.live_port()
        if port is None:
            return
        before, played = self._paced
        self._paced = (port, port.counters().played_frames)
        frames = self._paced[1] - played if before is port else 0
        lead = self.rig.blocksize if before is None else 0
        player.play(player.fed_frames + frames + lead)

    def _run(self) -> None:
        try:
            while not self._stopped:
                self.step()
                time.sleep(POLL_SECONDS)
        except Exception as error:  # raised again by `wait`, in the thread that asked for the run
            self._error = error
        finally:
            self._finished.set()

    # Looking

    def _look(self, now: float) -> None:
        """Every `LOOK_SECONDS`: what is not on the audio's way."""
        self._observer.look()
        self._notice_losses()
        if self._scene is not None and now >= self._next_scene:
            self._next_scene = now + SCENE_SECONDS
            told = self._scene.follow(self.mixer)
            if told is not None:
                self._note(told)
        if self._recorder is not None and (failure := self._recorder.status().failure):
            self._tell_once(failure)
        position = self._observer.position
        duration = self.settings.duration
        end = self._player.end_frame if self._player is not None else None
        if duration is not None and position >= duration * self.rig.samplerate:
            self.quit(Reason.DURATION_REACHED)
        elif end is not None and position >= end:
            self.quit(Reason.SOURCE_ENDED)
        self._status = self._make_status()

    def _notice_losses(self) -> None:
        lost = {index for index, link in enumerate(self.rig.links) if link.stream is None}
        for index in lost ^ self._lost:
            link = self.rig.links[index]
            if index in lost:
                self._note(f"{link.lost.value}: {link.device.name}; waiting for it to come back")
            else:
                gap = self.rig.capture.counters().gap_frames
                self._observer.latency.announce(self.delay_seconds)
                self._note(f"{link.device.name} is back; {gap} frames were lost in all")
        self._lost = lost

    def _make_status(self) -> Status:
        state, reason, detail = self._state()
        observer, degrader = self._observer, self._degrader
        recording = self._recorder.status().text if self._recorder is not None else ""
        return Status(
            state=state,
            reason=reason,
            detail=detail,
            model=degrader.rung.model,
            samplerate=self.rig.samplerate,
            played_frames=observer.played_frames,
            delay_frames=self.plan.delay.frames,
            delay_seconds=self.delay_seconds,
            xruns=observer.xruns,
            dropped_frames=observer.dropped_frames,
            deadline_misses=observer.deadline_misses,
            gaps=sum(link.losses for link in self.rig.links),
            rtf=observer.rtf,
            rung=degrader.index,
            rung_name=degrader.rung.name,
            stems=observer.stems,
            outputs=observer.outputs,
            recording=recording,
        )

    def _state(self) -> tuple[State, Reason, str]:
        if self._stopped:
            return State.STOPPED, self._stopped, ""
        if lost := self.rig.lost:
            return State.WAITING, lost[0].lost, lost[0].device.name
        if self._degrader.index:
            return State.DEGRADED, Reason.OVERLOAD, self._degrader.rung.name
        if self._recorder is not None and self._recorder.status().failure:
            return State.DEGRADED, Reason.RECORDER_FAILED, self._recorder.status().failure
        if self.mixer.state.dry:
            return State.DEGRADED, Reason.DRY_WANTED, ""
        if self._observer.position < 0:
            return State.STARTING, Reason.NONE, ""
        return State.RUNNING, Reason.NONE, ""

    @property
    def delay_seconds(self) -> float:
        """The announced delay: what is held constant, and what the devices say of their own."""
        return self.plan.delay.frames / self.rig.samplerate + sum(self.rig.device_seconds)

    def status(self) -> Status:
        """Return the last look at the run. From any thread."""
        return self._status

    def latency(self) -> LatencyLog:
        """Return the times of all windows so far."""
        return self._observer.latency

    def report(self) -> LiveReport:
        """Return what was measured so far."""
        plan = self.plan
        rate = plan.request.samplerate
        parts = {
            name.removesuffix("_frames"): frames / rate
            for name, frames in asdict(plan.delay).items()
        }
        return LiveReport(
            status=self._status,
            latency=self._observer.latency,
            started=self._started,
            elapsed_seconds=self._clock() - self._began,
            tolerance_seconds=self.rig.blocksize / rate,
            promised_delay_seconds=self.settings.latency,
            hop_seconds=plan.hop_seconds,
            planned_parts=parts,
            settings={"model": self.settings.model, "window_seconds": self.settings.segment or 0.0},
            events=list(self._events),
        )

    # Controls

    def load_scene(self, path: str) -> None:
        """Recall a scene, and follow its file from now on.

        Raises:
            SettingsError: it is wrong; nothing changes.
        """
        scene = SceneFile(Path(path))
        scene.recall(self.mixer)
        self._scene = scene

    def quit(self, reason: Reason = Reason.ASKED) -> None:
        """End the run, with the engine's next step."""
        self._stopped = self._stopped or reason

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
        self.quit()
        if self._thread is not None:
            self._thread.join()
        self._look(self._clock())
        self.rig.close()
        if self._recorder is not None:
            self._recorder.close()
        if self._source is not None:
            self._source.close()
        self.processor.close()

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
        for name, port in self.rig.ports.items():
            port.set_gains(*matrices(state, name, port.outputs))

    def _note(self, sentence: str) -> None:
        """Keep an event, and tell it."""
        self._events.append(
            Event(max(0.0, self._observer.position) / self.rig.samplerate, sentence)
        )
        self._tell(sentence)

    def _tell_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._note(sentence)
