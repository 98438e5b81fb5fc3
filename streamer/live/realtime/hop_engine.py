"""The native engine of a model that goes along the stream: the thread that runs `hop_loop`.

::

    engine = HopEngine(model, capture, ports, clock=clock)
    engine.warm_up()                 # compiles, the first time on a machine
    engine.start()                   # or `step` now and then, on virtual time
    for note in engine.notes(): ...  # what became of each hop: an array of `hop_loop.HOP_LOG`
    engine.stop()

The loop reads the capture ring and writes the stem rings; nobody else may. Python looks on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ringbuffer import Ring
from ringbuffer.pointers import code_address
from streamer.audio import Samples
from streamer.live.realtime import hop_loop, memory_lock, priority
from streamer.live.realtime.callbacks import LOG_RING
from streamer.live.realtime.hop_resampler import can_convert, conversion, frames_ahead
from streamer.live.realtime.port import Record, touched
from streamer.live.realtime.ports import CapturePort, PlaybackPort
from streamer.live.realtime.run_clock import SYSTEM_CLOCK, RunClock
from streamer.models.backends.native_network import (
    begin,
    finish_hop,
    forget,
    give_hop,
    hop,
    workspace,
)
from streamer.models.backends.native_stream import NativeStreamSeparator
from streamer.models.separator import Bag
from streamer.pipeline.derive import Derivation
from streamer.pipeline.gaps import EDGE_FRAMES
from streamer.pipeline.level import FAST_SECONDS, KNEE, SLOW_SECONDS
from streamer.settings import StreamSettings

LOG_HOPS: Final = 1 << 15
"""How many hops are remembered until somebody looks: 47 s of the shortest, of 64 frames."""
CHANNELS: Final = 2

_CLIPS: Final = {"soft": hop_loop.CLIP_SOFT, "clamp": hop_loop.CLIP_CLAMP}


@dataclass(frozen=True, eq=False)
class HopModel:
    """What the loop runs: a network, and what is made of its stems.

    ``recipe`` is ``(given, stems + 1)``: how much of each of the network's stems, and of the mix,
    is in each stem that is given. ``level_rms`` is what the level is brought to; None: it is left.
    """

    separator: NativeStreamSeparator
    recipe: Samples
    level_rms: float | None
    clip: int

    @classmethod
    def of(cls, bag: Bag, derivation: Derivation, settings: StreamSettings) -> HopModel:
        """Return what a model that `can_run` makes of a stream."""
        separator = _separator(bag)
        assert separator is not None
        needed = [separator.names.index(name) for name in derivation.needed]
        recipe = np.zeros((len(derivation.names), len(separator.names) + 1), np.float32)
        # the recipe is linear: each of its sources is 1 in one frame
        ones = np.eye(len(needed) + 1, dtype=np.float32)[:, :, np.newaxis]
        made = derivation.recipe(ones[:-1], ones[-1])[:, :, 0]
        recipe[:, [*needed, -1]] = made
        return cls(
            separator,
            recipe,
            bag.level_rms if settings.normalize == "rms" else None,
            _CLIPS.get(settings.clip_mode, hop_loop.CLIP_NONE),
        )


def can_run(bag: Bag, samplerate: int) -> bool:
    """Return whether the loop can run a model on devices of that rate: one network, in stereo, on
    the backend ``native``.
    """
    return _separator(bag) is not None and can_convert(samplerate, bag.samplerate)


def _separator(bag: Bag) -> NativeStreamSeparator | None:
    first = bag.separators[0]
    alone = len(bag.members) == 1 and bag.channels == CHANNELS
    return first if alone and isinstance(first, NativeStreamSeparator) else None


class HopEngine:
    """A thread, and all that its loop works on.

    Each of ``ports`` gets the stems; so does ``tap``, a ring of as many channels, where it is
    given: one more reader of them. Of ``ports`` the first tells how late a hop is.
    """

    def __init__(
        self,
        model: HopModel,
        capture: CapturePort,
        ports: Sequence[PlaybackPort],
        *,
        clock: RunClock = SYSTEM_CLOCK,
        tap: Ring | None = None,
    ) -> None:
        self._owners = model, capture, tuple(ports), clock, tap  # their memory must live
        network = model.separator.network
        self._network, self._memory, self._room = network, begin(network), workspace(network)
        rings = [port.stem_ring for port in ports] + ([tap] if tap is not None else [])
        self._buffers = _make_buffers(model, capture.samplerate, rings)
        self._log = np.zeros(1, LOG_RING)
        self._records = touched(LOG_HOPS, hop_loop.HOP_LOG)
        self._log["capacity"], self._log["records"] = LOG_HOPS, self._records.ctypes.data
        self._state = np.zeros(1, hop_loop.HOPS)
        values = {
            "levels": model.level_rms is not None,
            "target_rms": model.level_rms or 1.0,
            "clip": model.clip,
            "knee": KNEE,
            "capture_header": capture.ring.header_address,
            "capture_data": capture.ring.data_address,
            "playback": ports[0].address,
            "log": self._log.ctypes.data,
            "semaphore": capture.semaphore.address,
            "clock": self._keep_clock(),
            "clock_id": time.CLOCK_MONOTONIC,
            "virtual_time": clock.address,
        }
        for name, value in values.items():
            self._state[name] = value
        self._semaphore = capture.semaphore
        self._thread: threading.Thread | None = None
        self._locked = False

    def _keep_clock(self) -> int:
        self._clock_words = np.zeros(2, np.int64)
        return int(self._clock_words.ctypes.data)

    @property
    def filters_frames(self) -> int:
        """How far the filters between the rates look beyond the model's lookahead, at its rate."""
        there, back = self._buffers.there, self._buffers.back
        return back.ahead - (-there.ahead * there.up // there.down)

    def warm_up(self) -> None:
        """Have the code compiled that is not yet, and touch all memory; before anything else."""
        b, parts = self._buffers, (self._network, self._memory, self._room)
        self._state["give"] = code_address(give_hop, *parts, b.frames, b.stems)
        self._state["finish"] = code_address(finish_hop, *parts, b.frames)
        self.step()
        hop(*parts, b.frames, b.stems)
        b.stems[:] = 0
        forget(self._memory)

    def _do_hops(self, most: int) -> int:
        parts = self._network, self._memory, self._room, self._buffers, self._state
        return int(hop_loop.do_hops(*parts, most))

    def step(self, most: int = LOG_HOPS) -> int:
        """Do the hops that are due, in this thread, unless it has one of its own.

        The network hears ``most`` hops at most; return how many it did. It never waits.
        """
        return 0 if self._thread is not None else self._do_hops(most)

    def start(self) -> None:
        """Do them from now on, each as soon as it is due, in a thread of its own.

        Until the end what the process touches stays in memory, where that is granted.
        """
        self._locked = memory_lock.lock()
        self._thread = threading.Thread(target=self._run, name="stemstream-hops", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        priority.ask()
        self._do_hops(hop_loop.ON_AND_ON)

    def stop(self) -> None:
        """End the thread, within the hop that it is at. Twice is fine."""
        self._buffers.orders[hop_loop.STOP] = 1
        self._semaphore.post()
        if self._thread is not None:
            self._thread.join()
        if self._locked:
            self._locked = False
            memory_lock.unlock()

    def idle(self, *, idle: bool) -> None:
        """Have the hops from the next one on be gaps, or stems again. Any thread."""
        self._buffers.orders[hop_loop.IDLING] = idle

    def notes(self) -> Record:
        """Return what became of the hops since the last call. At most `LOG_HOPS`; one thread."""
        read, written = int(self._log["read"][0]), int(self._log["written"][0])
        records: Record = self._records[np.arange(read, written) % LOG_HOPS]
        self._log["read"] = written
        return records


def _make_buffers(model: HopModel, samplerate: int, rings: Sequence[Ring]) -> hop_loop.Buffers:
    stride, stems = model.separator.stride, len(model.separator.names)
    size, kept = stride.hop_frames, stride.hop_frames + stride.lookahead_frames
    given, carried = len(model.recipe), CHANNELS * stems + 1
    model_rate = model.separator.samplerate
    # the first hop takes as much more as its filter looks ahead
    most = -(-size * samplerate // model_rate) + frames_ahead(samplerate, model_rate) + 1
    return hop_loop.Buffers(
        there=conversion(samplerate, model_rate, CHANNELS, most),
        back=conversion(model_rate, samplerate, carried, size),
        captured=_room(most, CHANNELS),
        fresh=_room(size, CHANNELS),
        gains=_room(kept, 1) + 1,
        past=_room(stride.context_hops + 1, size, CHANNELS),
        frames=_room(size, CHANNELS),
        stems=_room(stems, size, CHANNELS),
        mirrored=_room(stems, min(EDGE_FRAMES, size), CHANNELS),
        gaps=_room(size),
        leveled=_room(size, carried),
        carried=_room(most, carried),
        mix=_room(most, CHANNELS),
        recipe=np.ascontiguousarray(model.recipe, np.float32),
        rows=_room(most, CHANNELS * given + 1),
        empty=_room(most, CHANNELS * given + 1),
        targets=np.array([[ring.header_address, ring.data_address] for ring in rings], np.int64),
        averages=np.zeros(2),
        averaging_frames=np.array([SLOW_SECONDS, FAST_SECONDS]) * model.separator.samplerate,
        orders=np.zeros(2, np.int64),
    )


def _room(*shape: int) -> Samples:
    return touched(shape, np.float32)
