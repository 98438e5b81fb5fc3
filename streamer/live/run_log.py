"""What a live run tells of itself: sentences as things happen, its status, and its report."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

from streamer.live.devices.player import Player
from streamer.live.devices.reconnecting import ReconnectingStream
from streamer.live.devices.streams import DeviceStreams
from streamer.live.mixing.mixer import Mixer
from streamer.live.overload.degrade import Degrader
from streamer.live.planning.prepare import Prepared
from streamer.live.recording.recorder import Recorder
from streamer.live.status import Reason, State, Status
from streamer.live.telemetry.observer import Observer
from streamer.live.telemetry.verdict import Event, LiveReport
from streamer.words import counted

EVENTS = 1000
REMEMBERED = 100
"""So many sentences are known to have been told: a model may fail in other words each time."""


def tell_nobody(sentence: str) -> None:
    """Keep a sentence for oneself."""


class RunLog:
    """Keeps the last events, and looks at all the others for a `Status`.

    ``tell`` is given what a person should know, a sentence each.
    """

    def __init__(
        self,
        prepared: Prepared,
        streams: DeviceStreams,
        observer: Observer,
        degrader: Degrader,
        mixer: Mixer,
        tell: Callable[[str], None],
    ) -> None:
        self._settings, self._plan = prepared.settings, prepared.plan
        self._streams, self._observer, self._degrader = streams, observer, degrader
        self._mixer = mixer
        self._tell = tell
        self.recorder: Recorder | None = None
        self.player: Player | None = None
        self.stopped = Reason.NONE
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._told: deque[str] = deque(maxlen=REMEMBERED)
        self._losses_told: dict[ReconnectingStream, int] = {}
        self._away: set[ReconnectingStream] = set()
        self._announced_seconds = 0.0
        self._started = datetime.now(UTC)

    def note(self, sentence: str) -> None:
        """Keep an event, and tell it."""
        seconds = max(0.0, self._observer.position) / self._streams.samplerate
        self._events.append(Event(seconds, sentence))
        self._tell(sentence)

    def note_once(self, sentence: str) -> None:
        """Note what happens again and again only the first time."""
        if sentence not in self._told:
            self._told.append(sentence)
            self.note(sentence)

    def note_losses(self) -> None:
        """Note which devices went, and which are back: each loss, however short it was."""
        for stream in self._streams.all:
            away = stream.away  # before the count, which another thread goes on with
            losses = stream.losses
            for _ in range(losses - self._losses_told.get(stream, 0)):
                if stream in self._away:
                    self._note_back(stream)
                self._away.add(stream)
                self.note(f"{stream.lost.value}: {stream.device.name}; waiting for it to come back")
            self._losses_told[stream] = losses
            if stream in self._away and not away:
                self._away.remove(stream)
                self._note_back(stream)

    def _note_back(self, stream: ReconnectingStream) -> None:
        self._observer.reopened()
        seconds = stream.gap_frames / self._streams.samplerate
        self.note(
            f"{stream.device.name} is back; {counted(stream.gap_frames, 'frame')} "
            f"({seconds:.3f} s) {'is' if stream.gap_frames == 1 else 'are'} missing"
        )

    def announce(self) -> None:
        """Announce the delay again where the devices turn out to delay by something else."""
        latency, delay_seconds = self._observer.latency, self.delay_seconds
        latency.announced_for_sure = not self._observer.listening
        if delay_seconds == self._announced_seconds:
            return
        if self._announced_seconds and self._observer.listening:
            return  # with both devices at once
        off_frames = abs(delay_seconds - self._announced_seconds) * self._streams.samplerate
        if self._announced_seconds and off_frames > self._streams.blocksize:
            self.note(
                f"the devices delay by {sum(self._observer.device_seconds) * 1000:.0f} ms, as the "
                f"times of their blocks show; the delay is {delay_seconds * 1000:.0f} ms in all"
            )
        self._announced_seconds = delay_seconds
        latency.announce(delay_seconds)

    @property
    def delay_seconds(self) -> float:
        """The announced delay: what is held constant, and what the devices add."""
        return self._plan.delay.frames / self._streams.samplerate + sum(
            self._observer.device_seconds
        )

    def status(self) -> Status:
        """Return a look at the run."""
        state, reason, detail = self._state()
        observer, degrader, player = self._observer, self._degrader, self.player
        return Status(
            state=state,
            reason=reason,
            detail=detail,
            model=degrader.rung.model,
            samplerate=self._streams.samplerate,
            played_frames=observer.played_frames,
            delay_frames=self._plan.delay.frames,
            delay_seconds=self.delay_seconds,
            dry_frames=observer.dry_frames,
            xruns=observer.xruns,
            dropped_frames=observer.dropped_frames,
            deadline_misses=observer.deadline_misses,
            gaps=sum(stream.losses for stream in self._streams.all),
            load=observer.load,
            rtf=observer.rtf,
            rung=degrader.index,
            rung_name=degrader.rung.name,
            song_seconds=player.song_seconds(observer.position) if player else None,
            song_length_seconds=player.length_seconds if player else None,
            stems=observer.stems,
            outputs=observer.outputs,
            recording=self.recorder.status().text if self.recorder is not None else "",
        )

    def _state(self) -> tuple[State, Reason, str]:
        if self.stopped:
            return State.STOPPED, self.stopped, ""
        if lost := self._streams.lost:
            return State.WAITING, lost[0].lost, lost[0].trouble or lost[0].device.name
        if self._observer.failure:
            return State.DEGRADED, Reason.MODEL_FAILED, self._observer.failure
        if self._mixer.state.dry:
            return State.DEGRADED, Reason.DRY_WANTED, ""
        if self._degrader.index:
            return State.DEGRADED, Reason.OVERLOAD, self._degrader.rung.name
        if self.recorder is not None and (failure := self.recorder.status().failure):
            return State.DEGRADED, Reason.RECORDER_FAILED, failure
        if self._observer.position < 0:
            return State.STARTING, Reason.NONE, ""
        return State.RUNNING, Reason.NONE, ""

    def report(self, status: Status, elapsed_seconds: float) -> LiveReport:
        """Return what was measured so far; ``status`` is the last look."""
        plan = self._plan
        rate = plan.request.samplerate
        parts = {
            name.removesuffix("_frames"): frames / rate
            for name, frames in asdict(plan.delay).items()
        }
        # as they are now: the parts add up to the announced delay
        parts["device_input"], parts["device_output"] = self._observer.device_seconds
        settings = self._settings
        return LiveReport(
            status=status,
            latency=self._observer.latency,
            started=self._started,
            elapsed_seconds=elapsed_seconds,
            tolerance_seconds=self._streams.blocksize / rate,
            promised_delay_seconds=settings.latency,
            hop_seconds=plan.hop_seconds,
            planned_parts=parts,
            settings={"model": settings.model, "window_seconds": settings.segment or 0.0},
            events=list(self._events),
        )
