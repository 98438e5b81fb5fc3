"""A live run on virtual time: fake devices, a model that takes as long as it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from support.doubles import RATE, AlongTheStream, SlowWorker

from streamer.audio import Samples
from streamer.live.native_engine import NativeEngine
from streamer.live.planning import prepare as preparing
from streamer.live.planning.prepare import MakeBag, Prepared, StandIn, prepare
from streamer.live.realtime.hop_engine import HopEngine
from streamer.live.session import LiveSession
from streamer.live.settings import LiveSettings
from streamer.live.window_engine import WindowEngine
from streamer.models.calibration import Calibration, WindowTiming
from streamer.models.separator import WHOLE, Bag, Member, Separator, Stride
from streamer.testing.virtual import VirtualBackend
from streamer.testing.virtual_device import VirtualDevice

STEP_SECONDS = 0.002
BEGIN_SECONDS = 0.25
"""When a run begins on virtual time; the devices' clocks count from 0."""
PLAN = {"hop": 0.1, "lookahead": 0.05, "normalize": "none", "model": "tiny"}
"""What a run is told here if nothing else; the budget is a hop too."""
ALONG = {"hop": None, "lookahead": None, "blocksize": 100, "route": ["drums=1,2"]}
"""What a run with a model `along` the stream is told: to choose its hop itself."""


class Scaled:
    """A model whose stems are its input times 1, 1/2, 1/4, 1/8."""

    names = ("drums", "bass", "other", "vocals")
    channels = 2

    def __init__(self, window_frames: int = RATE // 2, samplerate: int = RATE) -> None:
        self.window_frames, self.samplerate = window_frames, samplerate

    def input_frames(self, window_frames: int) -> int:
        return window_frames

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        return windows[:, np.newaxis, kept] * 0.5 ** np.arange(4, dtype="f4")[:, None, None]


def scaled(_settings: LiveSettings) -> Bag:
    return one(Scaled())


def one(separator: Separator) -> Bag:
    member = Member(separator, (1.0,) * 4)
    return Bag("tiny", [member], separator.names, separator.samplerate, 2)


def along(settings: LiveSettings) -> Bag:
    """A model that goes along the stream."""
    stride, hops = Stride(32, 32), 8
    if settings.window is not None:
        hops = stride.new_frames(round(settings.window * RATE)) // stride.hop_frames
    return AlongTheStream(stride, hops).bag()


def noise_source(seed: int = 0, seconds: int = 40, rate: int = RATE) -> Samples:
    draw = np.random.default_rng(seed)
    return (0.1 * draw.standard_normal((seconds * rate, 2))).astype("f4")


def tone(seconds: float, hertz: float = 100.0, rate: int = RATE, level: float = 0.4) -> Samples:
    wave = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.stack([wave, wave], axis=1).astype("f4")


def source_of(signal: Samples) -> Callable[[int, int], Samples]:
    """The source of a device that records the signal from frame 0 on, and silence around it."""

    def produce(start: int, frames: int) -> Samples:
        made = np.zeros((frames, signal.shape[1]), "f4")
        begin, end = max(start, 0), min(start + frames, len(signal))
        if begin < end:
            made[begin - start : end - start] = signal[begin:end]
        return made

    return produce


def card(signal: Samples, *, rate: int = RATE, name: str = "card", **more: object) -> VirtualDevice:
    """A device that takes in a signal and plays on eight channels."""
    more = {"input_channels": 2, "output_channels": 8, "converter_seconds": 32 / rate, **more}
    return VirtualDevice(name, samplerate=rate, source=source_of(signal), **more)


def microphone(signal: Samples, *, rate: int = RATE, **more: object) -> VirtualDevice:
    return card(signal, rate=rate, name="mic", output_channels=0, **more)


def speakers(name: str = "speakers", *, rate: int = RATE, **more: object) -> VirtualDevice:
    more = {"output_channels": 2, "converter_seconds": 32 / rate, **more}
    return VirtualDevice(name, samplerate=rate, **more)


def delay_between(
    mic: VirtualDevice, signal: Samples, output: VirtualDevice, second: float
) -> float:
    """The seconds from the moment a piece was recorded to the moment it is heard."""
    start = round(output.frame_at(second))
    piece = output.heard(start, 2000)[:, 0]
    latest = round(mic.frame_at(output.time_of(start)))
    around = signal[latest - 6000 : latest + 2000, 0]
    recorded = latest - 6000 + int(np.argmax(np.correlate(around, piece, "valid")))
    return output.time_of(start) - mic.time_of(recorded)


def begun(rate: int = RATE) -> int:
    """The frame of a device at which a run begins."""
    return round(BEGIN_SECONDS * rate)


class Run:
    """A session, its backend, and what it told."""

    def __init__(self, session: LiveSession, backend: VirtualBackend, told: list[str]) -> None:
        self.session, self.backend, self.told = session, backend, told

    def advance(self, seconds: float) -> None:
        self.backend.advance(seconds, every=(STEP_SECONDS, self.session.step))

    @property
    def announced_frames(self) -> int:
        frames = self.session.delay_seconds * self.session.streams.samplerate
        assert frames == pytest.approx(round(frames), abs=1e-6)
        return round(frames)


class _Clock:
    def __init__(self, backend: VirtualBackend) -> None:
        self._backend = backend

    @property
    def now(self) -> float:
        return self._backend.clock()

    def __call__(self) -> float:
        return self._backend.clock()


@contextmanager
def known_timing(seconds: float = 0.02, rate: int = RATE) -> Iterator[None]:
    """Have every window take the model so long, without timing it."""

    def calibrate(_bag: object, lengths: Sequence[float], subject: object, **_: object) -> object:
        timings = tuple(WindowTiming(round(s * rate), seconds, 1.2 * seconds) for s in lengths)
        return Calibration(subject, rate, timings, cached=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "calibrate", calibrate)
        patch.setattr(preparing, "stand_in", lambda *_: None)
        yield


def prepared(
    backend: VirtualBackend,
    make_bag: MakeBag = scaled,
    smaller: tuple[Bag, float] | None = None,
    window_seconds: float = 0.02,
    **settings: object,
) -> Prepared:
    """What a run needs. It is planned for windows that take the model ``window_seconds``.

    ``smaller`` stands in for the model, and takes so many seconds.
    """
    wish = LiveSettings(**{**PLAN, **settings})
    with known_timing(window_seconds, make_bag(wish).samplerate):
        ready = prepare(wish, backend, make_bag)
    if smaller is not None:
        bag, seconds = smaller
        window = WindowTiming(ready.plan.window_frames, seconds, 1.2 * seconds)
        ready = replace(ready, smaller=StandIn(bag, window))
    return ready


@contextmanager
def running(
    devices: Sequence[VirtualDevice],
    make_bag: MakeBag = scaled,
    *,
    compute: Callable[[int], float] = lambda _: 0.02,
    reopens: bool = False,
    smaller: tuple[Bag, float] | None = None,
    hops: Callable[..., HopEngine] = HopEngine,
    **settings: object,
) -> Iterator[Run]:
    """A run whose devices are open. The n-th window takes the model ``compute(n)`` seconds.

    ``hops`` makes what runs in the native engine.
    """
    backend = VirtualBackend(devices, reopens=reopens)
    backend.advance(BEGIN_SECONDS)
    ready = prepared(backend, make_bag, smaller, **settings)
    told: list[str] = []
    clock = _Clock(backend)
    make_engine = partial(
        WindowEngine,
        worker=lambda waiting: SlowWorker(clock, compute, waiting),
    )
    native = ready.plan.request.engine == "native"
    session = LiveSession(
        ready,
        backend,
        tell=told.append,
        clock=backend.run_clock,
        make_engine=partial(NativeEngine, make_hops=hops) if native else make_engine,
    )
    with session:
        session.open(anyway=True)
        yield Run(session, backend, told)
