"""How long sound takes through a live run, measured by a cable from the output to the input.

::

    trip = measure(settings, backend)
    trip.device.frames       # there and back through the devices alone
    trip.total.frames        # and through the separator: from the input's converter to the output's

A train of noise bursts (`loopback`) is put in where captured audio is read, and what is captured is
kept instead of it. So it has the streams, ports and clocks of a real run, positions are counted
by the input alone, and nothing goes round and round. First the output plays the train at once, then
a run separates it; the difference is the separator's delay, to the frame where one device does both
and its own delay stays the same. Two devices, or two streams of a sound server, have two clocks,
and the server may choose a new buffer for each stream: then the difference is as good as that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from streamer.errors import DeviceError, SettingsError
from streamer.live.devices.device import AudioBackend
from streamer.live.devices.reconnecting import ReconnectingStream
from streamer.live.devices.streams import DeviceStreams
from streamer.live.devices.wiring import Wiring
from streamer.live.planning.plan import LivePlan
from streamer.live.planning.prepare import (
    POLL_SECONDS,
    MakeBag,
    Prepared,
    device_path,
    make_plan,
    prepare,
    whole_bag,
    wire,
)
from streamer.live.realtime.hop_engine import can_run
from streamer.live.realtime.run_clock import SYSTEM_CLOCK, RunClock
from streamer.live.roundtrip.cable import CableLoop
from streamer.live.roundtrip.loopback import LoopbackDelay
from streamer.live.run_log import tell_nobody
from streamer.live.session import LiveSession
from streamer.live.settings import LiveSettings
from streamer.live.window_engine import WindowEngine
from streamer.pipeline.worker import LiveWorker, WindowWorker
from streamer.processor import load_bag

LEAD_SECONDS = 0.5
"""What is waited before the train: a stream's first blocks come at odd times."""
DRIFT_LEAD_SECONDS = 4.0
"""The same for two clocks: until their distance is known to a millisecond."""
REACH_SECONDS = 1.0
"""How much longer than twice what they say the devices may take."""
TRIES = 3
BLOCK_FRAMES = 4096
IDENTITY = "passthrough"


@dataclass(frozen=True)
class Pace:
    """How time passes: on the machine's clock unless told otherwise. See `WindowEngine`."""

    sleep: Callable[[float], object] = time.sleep
    clock: RunClock = SYSTEM_CLOCK
    worker: Callable[[int], WindowWorker] = LiveWorker


@dataclass(frozen=True)
class RoundTrip:
    """What was measured, beside what the run announces.

    ``device`` is the way through output, cable and input, ``total`` the whole: the same and the
    separator. ``claimed_seconds`` is what input and output say of themselves.
    """

    wiring: Wiring
    plan: LivePlan
    claimed_seconds: tuple[float, float]
    device: LoopbackDelay
    total: LoopbackDelay
    xruns: int
    missed_windows: int

    @property
    def samplerate(self) -> int:
        """Frames in a second."""
        return self.wiring.samplerate

    @property
    def claimed_frames(self) -> float:
        """What the devices say of their way there and back."""
        return sum(self.claimed_seconds) * self.samplerate

    @property
    def separator_frames(self) -> int:
        """The delay of the run without its devices: by difference."""
        return self.total.frames - self.device.frames

    @property
    def announced_separator_frames(self) -> int:
        """The same as the run announces it, and holds it constant."""
        return self.plan.delay.frames

    @property
    def announced_frames(self) -> float:
        """The whole delay as the run announces it."""
        return self.announced_separator_frames + self.claimed_frames

    def parts(self) -> dict[str, int]:
        """Return what the separator's delay is made of, in frames."""
        return {
            name.removesuffix("_frames"): frames
            for name, frames in asdict(self.plan.delay).items()
            if not name.startswith("device")
        }


EVERY_STEM: Final = {
    "stems": None,
    "two_stems": None,
    "residual": False,
    "conserve": False,
    "duration": None,
}
"""What a settings file may say of other runs: of their stems, and when they end."""


def measure(
    settings: LiveSettings,
    backend: AudioBackend,
    make_bag: MakeBag = load_bag,
    *,
    channels: tuple[int, ...] | None = None,
    pace: Pace | None = None,
    tell: Callable[[str], None] = tell_nobody,
) -> RoundTrip:
    """Measure the devices alone, then a live run of the settings' model on them.

    ``channels``: the output channels that the train is played on, from 1; 1 and 2 unless told.

    Raises:
        DeviceError: the train does not come back, or a device cannot be had.
        SettingsError: the input is a file, or the run cannot be planned.
    """
    pace = pace or Pace()
    settings = settings.model_copy(update=EVERY_STEM)
    wiring = _wire(settings, backend)
    outputs = wiring.outputs[0].output_channels
    channels = channels or ((1, 2) if outputs > 1 else (1,))
    if len(channels) > 2 or not all(1 <= channel <= outputs for channel in channels):
        raise SettingsError(
            f"output channels {','.join(map(str, channels))} must be one or two of "
            f"{wiring.outputs[0].name}, which has {outputs}; try 1"
        )
    tell("listening to the devices alone")
    device, claimed_seconds = _through_devices(backend, wiring, channels, pace, tell)
    backend.refresh()  # else PortAudio gives its JACK ports other names the second time
    if _goes_native(settings, wiring, backend, make_bag, claimed_seconds):
        tell(
            f"a live run has a native engine for {settings.model}, which is sooner (`stemstream "
            "plan`); here it is measured with the engine in Python"
        )
        settings = settings.model_copy(update={"latency": None})  # promised for the other engine
    # what is captured is exchanged, block by block, which the engine in Python alone can do
    prepared = prepare(settings, backend, make_bag, claimed_seconds, native=False)
    tell(f"listening to a run with {prepared.bag.name}")
    return _through_run(_routed(prepared, channels), backend, device, pace, tell)


def _goes_native(
    settings: LiveSettings,
    wiring: Wiring,
    backend: AudioBackend,
    make_bag: MakeBag,
    claimed_seconds: tuple[float, float],
) -> bool:
    """Return whether a live run has the native engine.

    Raises:
        SettingsError: that run cannot be planned.
    """
    whole, rate = whole_bag(settings, make_bag), wiring.samplerate
    if not can_run(whole, rate):
        return False
    path = device_path(wiring, backend, claimed_seconds)
    _, _, plan = make_plan(settings, whole, rate, path, make_bag)
    return plan.request.engine == "native"


def _wire(settings: LiveSettings, backend: AudioBackend) -> Wiring:
    if len(settings.output) > 1:
        raise SettingsError("a round trip goes through one output; give --output once")
    wiring, source = wire(settings, backend)
    if source is not None:
        source.close()
        raise SettingsError(
            f"input={settings.input} is a file, and a round trip needs a sound device; name the "
            "one that hears the output"
        )
    return wiring


def _routed(prepared: Prepared, channels: tuple[int, ...]) -> Prepared:
    """Return the same run, playing the mix of its stems on these channels and nothing else."""
    names = prepared.bag.names
    if prepared.bag.name == IDENTITY:  # each of its stems is the mix
        names = names[:1]
    place = ",".join(map(str, channels))
    settings = prepared.settings.model_copy(
        update={
            "route": tuple(f"{name}={place}" for name in names),
            "scene": None,
            "record": None,
            # what is captured must not be played again
            "fallback": "silence",
        }
    )
    wiring = prepared.wiring
    # as they were without the separator, so that ports with names keep their connections
    ports = tuple(tuple(port.name for port in wiring.output_ports(one)) for one in wiring.outputs)
    wiring = replace(wiring, channel_names=ports)
    return replace(prepared, settings=settings, wiring=wiring, smaller=None)


def _listen(
    loop: CableLoop,
    step: Callable[[], None],
    streams: Iterable[ReconnectingStream],
    pace: Pace,
    tell: Callable[[str], None],
) -> LoopbackDelay:
    """Play the train until it is heard, at most `TRIES` times."""
    for attempt in range(1, TRIES + 1):
        while not loop.heard:
            step()
            pace.sleep(POLL_SECONDS)
        lost = next((stream for stream in streams if stream.losses), None)
        if lost is not None:
            raise DeviceError(
                f"{lost.device.name!r} went away while it was measured; see that it stays, and "
                "measure again"
            )
        try:
            return loop.delay()
        except DeviceError as error:
            if attempt == TRIES:
                raise
            tell(f"not heard yet, trying again: {error}")
            loop.begin(LEAD_SECONDS)
    raise AssertionError


def _loop_for(
    wiring: Wiring, delay_seconds: float, claimed_seconds: tuple[float, float]
) -> CableLoop:
    return CableLoop(
        wiring.samplerate,
        LEAD_SECONDS if wiring.duplex else DRIFT_LEAD_SECONDS,
        REACH_SECONDS + delay_seconds + 2 * sum(claimed_seconds),
    )


def _through_devices(
    backend: AudioBackend,
    wiring: Wiring,
    channels: tuple[int, ...],
    pace: Pace,
    tell: Callable[[str], None],
) -> tuple[LoopbackDelay, tuple[float, float]]:
    """Return the way through output, cable and input, and what the devices say of it."""
    streams = DeviceStreams(backend, wiring, 1, 0, pace.clock)
    port = next(iter(streams.ports.values()))
    gains = np.zeros((4, port.outputs), np.float32)
    gains[0, [channel - 1 for channel in channels]] = 1
    port.set_gains(gains, np.zeros((2, port.outputs), np.float32))
    block = np.zeros((BLOCK_FRAMES, 2), np.float32)
    streams.open()
    claimed_seconds = streams.device_seconds
    loop = _loop_for(wiring, 0.0, claimed_seconds)

    def step() -> None:
        streams.watch(pace.clock())
        loop.play(port.stem_ring)
        loop.keep(block[: streams.capture.ring.read(block)])

    try:
        return _listen(loop, step, streams.all, pace, tell), claimed_seconds
    finally:
        streams.close()


def _through_run(
    prepared: Prepared,
    backend: AudioBackend,
    device: LoopbackDelay,
    pace: Pace,
    tell: Callable[[str], None],
) -> RoundTrip:
    """Return the same with the separator between input and output."""
    wiring, delay = prepared.wiring, prepared.plan.delay
    claimed = (delay.device_input_frames + delay.device_output_frames) / wiring.samplerate
    loop = _loop_for(wiring, delay.frames / wiring.samplerate, (claimed, 0.0))
    session = LiveSession(
        prepared,
        backend,
        tell=tell,
        clock=pace.clock,
        make_engine=partial(WindowEngine, insert=loop.exchange, worker=pace.worker),
    )
    try:
        session.open(anyway=True)  # a promise that does not hold is one of the figures
        total = _listen(loop, session.step, session.streams.all, pace, tell)
        status = session.status()
        return RoundTrip(
            wiring=wiring,
            plan=prepared.plan,
            claimed_seconds=session.streams.device_seconds,
            device=device,
            total=total,
            xruns=status.xruns,
            missed_windows=status.deadline_misses,
        )
    finally:
        session.close()
