"""The device streams of a run on JACK, with no model; and what its server tells of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from live.support.servers import RATE, Server, wait_until

from streamer.audio import Samples
from streamer.live.devices.device import PortName, StreamRequest
from streamer.live.devices.jack import JackBackend
from streamer.live.devices.machine import backend_for
from streamer.live.devices.streams import DeviceStreams
from streamer.live.planning.outputs import name_outputs
from streamer.live.planning.prepare import wire
from streamer.live.realtime.ports import CapturePort, DuplexPort, PlaybackPort
from streamer.live.realtime.run_clock import SYSTEM_CLOCK
from streamer.live.settings import LiveSettings

PERIOD, DELAY = 256, 1000
STEMS = ("drums", "vocals")
OUT = ["mix_L", "mix_R", "drums_L", "drums_R", "vocals_L", "vocals_R"]


class Run:
    """The streams of a run whose outputs play the mix on every pair."""

    def __init__(self, **settings: object) -> None:
        wish = LiveSettings(input="jack", output="jack", **settings)
        backend = self._backend = backend_for(wish)
        assert isinstance(backend, JackBackend)
        wiring = name_outputs(wire(wish, backend)[0], wish, STEMS)
        self.streams = DeviceStreams(backend, wiring, len(STEMS), DELAY)
        (self.port,) = self.streams.ports.values()
        gains = np.zeros((6, self.port.outputs), np.float32)
        gains[4, ::2] = gains[5, 1::2] = 1
        self.port.set_gains(gains, 0 * gains[:2])
        self.streams.open()
        (self.stream,) = self.streams.all

    def patience(self, seconds: float) -> None:
        """How long calls of JACK are waited for."""
        self._backend._library.patience_seconds = seconds

    def watch(self) -> None:
        self.streams.watch(SYSTEM_CLOCK())

    def until(self, holds: Callable[[], bool]) -> None:
        def looked() -> bool:
            self.watch()
            return holds()

        wait_until(looked)

    def plays_blocks_of(self, frames: int) -> bool:
        return self.stream.request.blocksize == frames and not self.stream.away

    def back(self) -> bool:
        return self.stream.losses > 0 and not self.stream.away


@contextmanager
def running(**settings: object) -> Iterator[Run]:
    run = Run(**settings)
    try:
        run.until(lambda: run.port.counters().position > 0)
        yield run
    finally:
        run.streams.close()


def clients(jack: Server) -> set[str]:
    """The programs that have ports, less the card."""
    ports = (jack.call("jack_lsp") or "").split()
    return {port.partition(":")[0] for port in ports} - {"system"}


def connections(jack: Server) -> set[tuple[str, str]]:
    """All connections, the source first."""
    found, port = set(), ""
    flags = {}
    for line in (jack.call("jack_lsp", "-c", "-p") or "").splitlines():
        if not line[:1].isspace():
            port = line
        elif "properties:" in line:
            flags[port] = line
        else:
            found.add((port, line.strip()))
    return {(one, other) for one, other in found if "output" in flags[one]}


def latencies(jack: Server, port: str) -> tuple[int, ...]:
    """The capture and the playback latency of a port, if they are no ranges."""
    told = jack.call("jack_lsp", "-l", port) or ""
    spans = [set(map(int, span)) for span in re.findall(r"\[ (\d+) (\d+) \]", told)]
    assert len(spans) == 2
    assert all(len(span) == 1 for span in spans), told
    # "playback" stands in the line of each port first
    order = re.findall(r"port (playback|capture) latency", told)
    return tuple(spans[order.index(kind)].pop() for kind in ("capture", "playback"))


def heard_through(jack: Server, sound: Samples, target: str, source: str) -> Samples:
    """Play a sound into a client's inputs; return what its outputs gave from then on."""
    frames = 2 * len(sound)
    played = PlaybackPort(0, 2, RATE, 0, capacity_frames=4 * frames)
    played.set_gains(np.eye(2, dtype="f4"), np.zeros((2, 2), "f4"))
    feeder = CapturePort(2, RATE, [played], capacity_frames=4 * frames)
    recorded = CapturePort(2, RATE, [], capacity_frames=4 * frames)
    duplex = DuplexPort(recorded, played)
    # a name of its own: a run connects again what comes back under a name within a moment
    ears = f"ears of {source.partition(':')[2]}"
    backend = JackBackend(ears, connect=False)
    (device,) = backend.devices()
    ports = [tuple(PortName(f"{way}_{side}", 1) for side in "LR") for way in ("in", "out")]
    request = StreamRequest(
        *(device, device, 2, 2, RATE, PERIOD, "low", duplex.callback_address, duplex.address),
        owner=duplex,
        input_ports=ports[0],
        output_ports=ports[1],
    )
    stream = backend.open(request)
    try:
        stream.start()
        for side in "LR":
            for ends in (
                (f"{ears}:out_{side}", f"{target}_{side}"),
                (
                    f"{source}_{side}",
                    f"{ears}:in_{side}",
                ),
            ):
                assert jack.call("jack_connect", *ends) is not None
        begin = recorded.counters().captured_frames + RATE // 2
        silence = begin - feeder.counters().captured_frames
        feeder.feed(np.concatenate([np.zeros((silence, 2), "f4"), sound]))
        wait_until(lambda: recorded.counters().captured_frames > begin + frames)
    finally:
        stream.close()
    got = np.zeros((4 * frames, 2), "f4")
    count = recorded.ring.read(got)
    return got[begin:count]
