"""The parts of one live run, which its engine, its supervision and its session share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from streamer.live.control.apart import Apart
from streamer.live.devices.device import AudioBackend
from streamer.live.devices.player import Player
from streamer.live.devices.streams import DeviceStreams
from streamer.live.mixing.matrices import matrices
from streamer.live.mixing.mixer import Mixer
from streamer.live.mixing.routes import parse_route
from streamer.live.mixing.scene_folder import SceneFolder, user_folder
from streamer.live.mixing.state import MixState
from streamer.live.planning.outputs import name_outputs
from streamer.live.planning.prepare import Prepared
from streamer.live.realtime.ports import PlaybackPort
from streamer.live.realtime.run_clock import RunClock
from streamer.live.recording.recording import Recording
from streamer.live.run_log import RunLog
from streamer.live.settings import LiveSettings
from streamer.live.status import Reason
from streamer.live.telemetry.observer import Observer
from streamer.pipeline.derive import derive

NEVER = sys.maxsize


class RunEnd:
    """Where a run ends: after its duration or with its file, whichever comes first."""

    def __init__(self, duration: float | None, samplerate: int, player: Player | None) -> None:
        self._last_frame = NEVER if duration is None else round(duration * samplerate)
        self._player = player

    def frame(self) -> int:
        """Return the input frame at which the run ends; `NEVER` where that is not known."""
        end = self._player.end_frame if self._player is not None else None
        return min(self._last_frame, NEVER if end is None else end)

    def reached(self, frame: float) -> Reason:
        """Return why the run is over when that frame was heard; `Reason.NONE` while it goes on.

        A file that was read to its end, and then stopped, waits there.
        """
        end = self.frame()
        waits = self._player is not None and not self._player.playing and end != self._last_frame
        if frame < end or waits:
            return Reason.NONE
        return Reason.DURATION_REACHED if end == self._last_frame else Reason.SOURCE_ENDED


@dataclass(frozen=True)
class RunParts:
    """The shared parts. ``names`` are the stems that come out; ``player`` plays an input file."""

    prepared: Prepared
    clock: RunClock
    names: Sequence[str]
    streams: DeviceStreams
    observer: Observer
    log: RunLog
    mixer: Mixer
    scenes: SceneFolder
    apart: Apart
    player: Player | None
    end: RunEnd
    recording: Recording

    @classmethod
    def make(
        cls,
        prepared: Prepared,
        backend: AudioBackend,
        tell: Callable[[str], None],
        clock: RunClock,
    ) -> Self:
        """Make the parts of a run; nothing is opened yet but the file that is played.

        Raises:
            SourceError: that file cannot be read.
            SettingsError: a route leads to no output or from no stem.
        """
        settings, plan, rate = prepared.settings, prepared.plan, prepared.wiring.samplerate
        names = derive(prepared.bag.name, prepared.bag.names, settings).names
        wiring = name_outputs(prepared.wiring, settings, names)
        delay_frames, fade_frames = plan.delay.frames, plan.fade_frames
        streams = DeviceStreams(
            backend,
            wiring,
            len(names),
            delay_frames,
            clock,
            fade_frames=fade_frames,
            whole_blocks=plan.request.engine == "native",
        )
        observer = Observer(streams, names, plan)
        player = None
        if prepared.source is not None:
            virtual = clock.virtual is not None
            player = Player(prepared.source, streams.capture, settings, in_place=virtual)
        mixer = _make_mixer(settings, names, streams.ports, wiring.port_makers)
        end = RunEnd(settings.duration, rate, player)
        return cls(
            prepared=prepared,
            clock=clock,
            names=names,
            streams=streams,
            observer=observer,
            log=RunLog(observer, rate, tell),
            mixer=mixer,
            scenes=SceneFolder(_scenes_of(settings), mixer),
            apart=Apart(),
            player=player,
            end=end,
            recording=Recording(settings, names, rate, end.frame, heard=lambda: observer.position),
        )


def _scenes_of(settings: LiveSettings) -> Path:
    if settings.scenes is not None:
        return settings.scenes
    return settings.scene.parent if settings.scene is not None else user_folder()


def _make_mixer(
    settings: LiveSettings,
    names: Sequence[str],
    ports: Mapping[str, PlaybackPort],
    with_mix: Sequence[str],
) -> Mixer:
    """Return a mixer whose state is what the ports play."""

    def set_gains(state: MixState) -> None:
        for name, port in ports.items():
            port.set_gains(*matrices(state, name, port.outputs))

    mixer = Mixer(
        names,
        {name: port.outputs for name, port in ports.items()},
        [parse_route(route) for route in settings.route],
        fallback=settings.fallback,
        with_mix=with_mix,
        on_change=set_gains,
    )
    set_gains(mixer.state)
    return mixer
