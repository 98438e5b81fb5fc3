"""The supervision of a live run: what is looked at now and then, off the audio's way."""

from __future__ import annotations

import math
from concurrent.futures import Future, wait
from dataclasses import asdict
from datetime import UTC, datetime

from streamer.live.devices.reconnecting import ReconnectingStream
from streamer.live.engine import Engine, EngineStatus
from streamer.live.parts import RunParts
from streamer.live.status import Reason, State, Status
from streamer.live.telemetry.tryout import MOST_SECONDS
from streamer.live.telemetry.verdict import LiveReport
from streamer.words import counted

LOOK_SECONDS = 0.05
SCENE_SECONDS = 0.5


class Supervisor:
    """Looks at everything, tells what a person should know, and sums it up in a `Status`."""

    def __init__(self, parts: RunParts, engine: Engine) -> None:
        self._parts, self._engine = parts, engine
        self._losses = _LossNotes(parts)
        self._announcement = _Announcement(parts)
        self._next_look = self._next_scene = -math.inf
        self._following: Future[str | None] | None = None
        self._started = datetime.now(UTC)

    def begin(self, now: float) -> None:
        """Announce the delay, now that the devices are open."""
        self._announcement.begin(now)

    def due(self, now: float) -> bool:
        """Return whether it is time for another look.

        That is every `LOOK_SECONDS`, and at once when the silent beginning is over.
        """
        tryout = self._parts.observer.tryout
        if now < self._next_look and (tryout is None or not tryout.over):
            return False
        # a look that comes late makes the next ones no later: meters keep their rate
        late_seconds = min(max(now - self._next_look, 0.0), LOOK_SECONDS / 2)
        self._next_look = now + LOOK_SECONDS - late_seconds
        return True

    def look(self, now: float) -> Reason:
        """Look at the run; return why it is over, or `Reason.NONE`."""
        parts = self._parts
        parts.observer.look()
        self._losses.look()
        self._announcement.look(now)
        self._follow_scene(now)
        self.tell_of_takes()
        buffered_frames = parts.streams.device_seconds[1] * parts.streams.samplerate
        return parts.end.reached(parts.observer.position - buffered_frames)

    def tell_of_takes(self) -> None:
        """Tell why takes have ended by themselves."""
        for failure in self._parts.recording.failures:
            self._parts.log.note_once(failure)

    def _follow_scene(self, now: float) -> None:
        parts = self._parts
        if self._following is None and now >= self._next_scene:
            self._next_scene = now + SCENE_SECONDS
            self._following = parts.apart.look(parts.scenes.follow)  # which may wait for a disk
            if self._following is not None and parts.clock.virtual is not None:
                wait([self._following])
        if self._following is not None and self._following.done():
            told, self._following = self._following.result(), None
            if told is not None:
                parts.log.note(told)

    @property
    def delay_seconds(self) -> float:
        """The announced delay: what is held constant, and what the devices add."""
        return self._announcement.delay_seconds

    def status(self, stopped: Reason) -> Status:
        """Return a look at the run; ``stopped`` is why it was ended, or `Reason.NONE`."""
        parts, observer, player = self._parts, self._parts.observer, self._parts.player
        engine = self._engine.status()
        devices = parts.streams.devices()
        take = parts.recording.status
        state, reason, detail = (State.STOPPED, stopped, "") if stopped else self._state(engine)
        return Status(
            state=state,
            reason=reason,
            detail=detail,
            engine=engine.name,
            model=engine.model,
            samplerate=parts.streams.samplerate,
            played_frames=observer.played_frames,
            delay_frames=parts.streams.delay_frames,
            delay_seconds=self.delay_seconds,
            dry_frames=observer.dry_frames,
            xruns=observer.xruns,
            dropped_frames=observer.dropped_frames,
            deadline_misses=observer.deadline_misses,
            device_losses=sum(one.losses for one in devices),
            devices=devices,
            load=observer.load,
            rtf=observer.rtf,
            rung=engine.rung,
            rung_name=engine.rung_name,
            song_seconds=player.song_seconds(observer.position) if player else None,
            song_length_seconds=player.length_seconds if player else None,
            stems=observer.stems,
            outputs=observer.outputs,
            clips=observer.clips,
            waves=observer.waves.waves,
            recording=take.text if take is not None else "",
            recording_on=parts.recording.on,
            recording_seconds=take.taken_frames / take.samplerate if take is not None else 0.0,
            recording_left_seconds=take.left_seconds if take is not None else None,
        )

    def _state(self, engine: EngineStatus) -> tuple[State, Reason, str]:
        """Return the state of a run that was not ended, with why and in which words."""
        parts = self._parts
        if lost := parts.streams.lost:
            return State.WAITING, lost[0].lost, lost[0].trouble or lost[0].device.name
        if parts.observer.failure:
            return State.DEGRADED, Reason.MODEL_FAILED, parts.observer.failure
        if parts.mixer.state.dry:
            return State.DEGRADED, Reason.DRY_WANTED, ""
        if engine.rung:
            return State.DEGRADED, Reason.OVERLOAD, engine.rung_name
        take = parts.recording.status
        if take is not None and take.failure:
            return State.DEGRADED, Reason.RECORDER_FAILED, take.failure
        if parts.observer.position < 0 or parts.observer.tryout is not None:
            return State.STARTING, Reason.NONE, ""
        if parts.observer.mostly_dry:
            return State.DEGRADED, Reason.OVERLOAD, "dry most of the time"
        return State.RUNNING, Reason.NONE, ""

    def report(self, status: Status, elapsed_seconds: float) -> LiveReport:
        """Return what was measured so far; ``status`` is the last look."""
        observer = self._parts.observer
        settings, plan = self._parts.prepared.settings, self._parts.prepared.plan
        rate = plan.request.samplerate
        delays = {
            name.removesuffix("_frames"): frames / rate
            for name, frames in asdict(plan.delay).items()
        }
        # as they are now: the parts add up to the announced delay
        delays["overhead"] += (self._parts.streams.delay_frames - plan.delay.frames) / rate
        delays["device_input"], delays["device_output"] = observer.device_seconds
        return LiveReport(
            status=status,
            latency=observer.latency,
            started=self._started,
            elapsed_seconds=elapsed_seconds,
            tolerance_seconds=self._parts.streams.blocksize / rate,
            promised_delay_seconds=settings.latency,
            hop_seconds=plan.hop_seconds,
            planned_parts=delays,
            settings={"model": settings.model, "window_seconds": settings.window or 0.0},
            events=self._parts.log.events(),
        )


class _LossNotes:
    """Tells which devices went, and which are back: each loss, however short it was."""

    def __init__(self, parts: RunParts) -> None:
        self._streams, self._observer, self._log = parts.streams, parts.observer, parts.log
        self._told: dict[ReconnectingStream, int] = {}
        self._away: set[ReconnectingStream] = set()

    def look(self) -> None:
        for stream in self._streams.all:
            away = stream.away  # before the count, which another thread goes on with
            losses = stream.losses
            for _ in range(losses - self._told.get(stream, 0)):
                if stream in self._away:
                    self._note_back(stream)
                self._away.add(stream)
                self._log.note(
                    f"{stream.lost.value}: {stream.device.name}; waiting for it to come back"
                )
            self._told[stream] = losses
            if stream in self._away and not away:
                self._away.remove(stream)
                self._note_back(stream)

    def _note_back(self, stream: ReconnectingStream) -> None:
        self._observer.reopened()
        seconds = stream.away_frames / self._streams.samplerate
        self._log.note(
            f"{stream.device.name} is back; {counted(stream.away_frames, 'frame')} "
            f"({seconds:.3f} s) {'is' if stream.away_frames == 1 else 'are'} missing"
        )
        planned, blocksize = self._streams.blocksize, stream.request.blocksize
        if blocksize > planned:
            self._log.note(
                f"{stream.device.name} has blocks of {blocksize} frames now, and the delay was "
                f"planned for {planned}; start the run again for a delay that fits"
            )


class _Announcement:
    """Announces the delay, and again where the devices turn out to delay by something else."""

    def __init__(self, parts: RunParts) -> None:
        self._streams, self._observer, self._log = parts.streams, parts.observer, parts.log
        self._promised_seconds = parts.prepared.settings.latency
        self._announced_seconds = 0.0
        self._began = 0.0

    @property
    def delay_seconds(self) -> float:
        held_seconds = self._streams.delay_frames / self._streams.samplerate
        return held_seconds + sum(self._observer.device_seconds)

    def begin(self, now: float) -> None:
        self._began = now
        self._look_at_devices()

    def look(self, now: float) -> None:
        tryout = self._observer.tryout
        if tryout is not None and (tryout.over or now - self._began >= MOST_SECONDS):
            self._end_tryout()
        self._look_at_devices()

    def _end_tryout(self) -> None:
        """Be heard, with the delay that the silent beginning asks for."""
        planned_seconds, more_frames = self.delay_seconds, self._observer.end_tryout()
        self._streams.set_delay(self._streams.delay_frames + more_frames)
        if more_frames:
            over = (self._promised_seconds or math.inf) < self.delay_seconds
            self._log.note(
                "a device brings its blocks in larger bursts than planned; the delay is "
                f"{self.delay_seconds * 1000:.0f} ms, not {planned_seconds * 1000:.0f} ms"
                + (f", and over the promised {self._promised_seconds:g} s" if over else "")
            )
        self._announced_seconds = self.delay_seconds
        self._observer.latency.announce(self.delay_seconds)

    def _look_at_devices(self) -> None:
        latency, delay_seconds = self._observer.latency, self.delay_seconds
        latency.trust(sure=not self._observer.listening)
        if delay_seconds == self._announced_seconds:
            return
        if self._announced_seconds and self._observer.listening:
            return  # with both devices at once
        off_frames = abs(delay_seconds - self._announced_seconds) * self._streams.samplerate
        if self._announced_seconds and off_frames > self._streams.blocksize:
            self._log.note(
                f"the devices delay by {sum(self._observer.device_seconds) * 1000:.0f} ms, as the "
                f"times of their blocks show; the delay is {delay_seconds * 1000:.0f} ms in all"
            )
        self._announced_seconds = delay_seconds
        latency.announce(delay_seconds)
