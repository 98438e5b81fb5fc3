"""A live run, from its opening to its end.

::

    with open_session(settings, backend) as session:
        session.start()          # threads; `step` is one turn of both
        session.wait()
    session.report()

    devices --> input ring --> engine: the model --> stem rings --> devices
                               supervision looks on

What has to be on time is done by the callbacks (`live.realtime.callbacks`). The engine only has to
be in time on average, and the delay says by how much: `live.window_engine` for any model,
`live.native_engine` for those that compiled code can take along the stream.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from streamer.arguments import check_kind
from streamer.errors import SettingsError, StemstreamError
from streamer.live.control.controls import Transport
from streamer.live.devices.device import AudioBackend
from streamer.live.engine import Engine
from streamer.live.native_engine import NativeEngine
from streamer.live.parts import RunParts
from streamer.live.planning.prepare import POLL_SECONDS, MakeBag, Prepared, prepare
from streamer.live.realtime.callbacks import FADE_FRAMES
from streamer.live.realtime.run_clock import SYSTEM_CLOCK, RunClock
from streamer.live.run_log import tell_nobody
from streamer.live.settings import LiveSettings
from streamer.live.status import Reason, Status
from streamer.live.supervision import Supervisor
from streamer.live.telemetry.latency import LatencyLog
from streamer.live.telemetry.verdict import LiveReport
from streamer.live.turns import Turns
from streamer.live.window_engine import WindowEngine
from streamer.processor import load_bag

WATCH_SECONDS = 0.02
LEAD_SECONDS = 0.2
"""How far ahead a file is taken in, where the model keeps up: a file has no clock. So an output may
take many blocks at once, and the engine may be held up, and nothing is late."""
FADE_OUT_BLOCKS = 3


def open_session(
    settings: LiveSettings,
    backend: AudioBackend,
    make_bag: MakeBag = load_bag,
    *,
    tell: Callable[[str], None] = tell_nobody,
) -> LiveSession:
    """Prepare a run and open its devices.

    A device tells its latency only when it is open: where a promise does not hold with that, it is
    planned again.

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


def engine_for(parts: RunParts) -> Engine:
    """Return the engine that a run was planned with."""
    native = parts.prepared.plan.request.engine == "native"
    return NativeEngine(parts) if native else WindowEngine(parts)


def _no_controller(_address: str) -> None:
    raise SettingsError("there is no MIDI controller to learn; name its port with --midi")


class LiveSession:
    """One live run. It is what keys and remotes control (`live.control.controls.Controls`).

    Its engine takes the sound through the model, and its supervisor looks on; here lies when they
    begin and end. ``tell`` is given what a person should know, a sentence each. ``clock`` is the
    time of the run, for runs on virtual time.
    """

    def __init__(
        self,
        prepared: Prepared,
        backend: AudioBackend,
        *,
        tell: Callable[[str], None] = tell_nobody,
        clock: RunClock = SYSTEM_CLOCK,
        make_engine: Callable[[RunParts], Engine] = engine_for,
    ) -> None:
        self.settings, self.plan = prepared.settings, prepared.plan
        self._parts = RunParts.make(prepared, backend, tell, clock)
        self.streams, self.mixer = self._parts.streams, self._parts.mixer
        self.scenes, self.recorder = self._parts.scenes, self._parts.recording
        self.apart = self._parts.apart
        self.engine = make_engine(self._parts)
        self._supervisor = Supervisor(self._parts, self.engine)
        if self.settings.scene is not None:
            self.load_scene(str(self.settings.scene))
        self._stopped = Reason.NONE
        self._turns = Turns(lambda: not self._stopped, self._failed)
        self._closed = False
        self._status = Status(model=prepared.bag.name, samplerate=self.streams.samplerate)
        self._learn: Callable[[str], None] = _no_controller
        self._clock = clock
        self._began = clock()

    # From the beginning to the end

    def open(self, *, anyway: bool = False) -> bool:
        """Open the devices and begin to play: silence first, until the delay is over.

        Returns False, with the devices given back, where the promise does not hold with what they
        say of their own delay; ``anyway`` goes on then.

        Raises:
            DeviceError: a device cannot be had as asked.
            SinkError: there is no place for the recording.
        """
        self.engine.open()
        self._play_ahead()
        if self._parts.observer.tryout is not None:
            self.streams.mute()
        self.streams.open()
        promise = self.settings.latency
        most_seconds = math.inf if promise is None else promise + 1 / self.streams.samplerate
        if self.delay_seconds > most_seconds and not anyway:
            self.streams.close()
            return False
        self._parts.recording.open()
        self._began = self._clock()
        self._supervisor.begin(self._began)
        self._status = self._supervisor.status(self._stopped)
        return True

    def start(self) -> None:
        """Run the engine in a thread of its own, until `wait` returns.

        The devices have another: opening one whose server hangs takes seconds.
        """
        self._turns.start("stemstream-engine", self._turn, POLL_SECONDS)
        self._turns.start("stemstream-devices", self._watch, WATCH_SECONDS)

    def step(self) -> None:
        """Do what there is to do now, in this thread; to be called every `POLL_SECONDS`."""
        self._watch()
        self._turn()

    def _watch(self) -> None:
        self.streams.watch(self._clock())

    def _turn(self) -> None:
        """One turn: the file that is played, the engine, and now and then a look. Never waits."""
        now = self._clock()
        self._play()
        self.engine.step()
        if self._supervisor.due(now):
            if over := self._supervisor.look(now):
                self.quit(over)
            self._status = self._supervisor.status(self._stopped)

    def _play(self) -> None:
        """Play a file as far as a device would have recorded that plays so far, and ahead of it."""
        player, port = self._parts.player, self.streams.live_port()
        if player is not None and port is not None:
            due = math.floor(port.counters().position) + self.plan.delay.frames
            player.play(due)
            most = player.fed_frames + self.engine.room_frames
            player.play(min(due + self._lead_frames, most))

    def _play_ahead(self) -> None:
        """Take in the first of a file before an output plays: some take many blocks at once."""
        player = self._parts.player
        while player is not None and player.fed_frames < self._lead_frames:
            fed_frames = player.fed_frames
            self._play()
            self.engine.step()
            if player.fed_frames == fed_frames:
                break  # its model needs time

    @property
    def _lead_frames(self) -> int:
        return round(LEAD_SECONDS * self.streams.samplerate)

    def quit(self, reason: Reason = Reason.ASKED) -> None:
        """End the run, with the engine's next step, and let the sound ramp down.

        Without stems the mix would be heard, until all that watches the run has been closed.
        """
        if not self._stopped:
            self._parts.observer.ending()
            self.streams.mute()
        self._stopped = self._stopped or reason

    def _failed(self, error: Exception) -> None:
        """End the run for an error, which `wait` raises."""
        self._parts.log.keep(str(error) if isinstance(error, StemstreamError) else repr(error))
        self.quit(Reason.FAILED)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end of the run; return whether it has ended.

        Raises:
            StemstreamError: what ended it, if that was an error.
        """
        return self._turns.wait(seconds)

    def close(self) -> None:
        """Give back the devices, finish the recording, stop the model. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        self.quit()
        with ExitStack() as stack:  # each, whatever becomes of the others; the last one first
            stack.callback(self.engine.close)
            if (player := self._parts.player) is not None:
                stack.callback(player.close)
            stack.callback(self._supervisor.tell_of_takes)
            stack.callback(self._parts.recording.close)
            stack.callback(self.apart.close)
            stack.callback(self.streams.close)
            self._turns.join()
            self._fade_out()
            self._parts.observer.look()
            self._status = self._supervisor.status(self._stopped)

    def _fade_out(self) -> None:
        """Let the sound ramp down before the streams are cut, where they still run."""
        self.streams.mute()
        if self._turns.started and self.streams.live_port() is not None:
            time.sleep(
                sum(self.streams.device_seconds)
                + (FADE_FRAMES + FADE_OUT_BLOCKS * self.streams.blocksize) / self.streams.samplerate
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

    # What it tells, and what it is told

    @property
    def delay_seconds(self) -> float:
        """The announced delay: what is held constant, and what the devices say of their own."""
        return self._supervisor.delay_seconds

    def status(self) -> Status:
        """Return the last look at the run. From any thread."""
        return self._status

    def latency(self) -> LatencyLog:
        """Return the times of all windows so far."""
        return self._parts.observer.latency

    def report(self) -> LiveReport:
        """Return what was measured so far."""
        return self._supervisor.report(self._status, self._clock() - self._began)

    def note(self, sentence: str) -> None:
        """Keep an event for the report, and tell it. From any thread."""
        self._parts.log.note(sentence)

    @property
    def transport(self) -> Transport | None:
        """The file that is played; None where a device is taken in."""
        return self._parts.player

    def learn_with(self, learn: Callable[[str], None]) -> None:
        """Give it what lets a controller learn an address."""
        self._learn = learn

    def learn(self, address: str) -> None:
        """Let the control of a MIDI controller that is moved next move this address from then on.

        Raises:
            SettingsError: there is no controller, or no such address.
            DeviceError: the controller is gone.
        """
        self._learn(address)

    def load_scene(self, path: str) -> None:
        """Recall a scene, and follow its file from now on.

        Raises:
            SettingsError: it is wrong; nothing changes.
        """
        self.scenes.load(path)
