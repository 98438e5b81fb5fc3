"""Our own JACK client, on one server for nearly all of it: no model and no engine, but for the end.

The run under test is `DeviceStreams`, as a session has it. A second client plays into it and
records what comes out.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from live.support import servers
from live.support.command import LiveRun, read_report
from live.support.iodelay import iodelay
from live.support.servers import RATE, Server, wait_until
from support.doubles import noise

from streamer.audio import Samples
from streamer.errors import DeviceError
from streamer.live.devices.device import PortName, StreamRequest
from streamer.live.devices.jack import JackBackend
from streamer.live.devices.jack_connections import LOOKS_TO_FORGET
from streamer.live.devices.machine import backend_for
from streamer.live.devices.streams import DeviceStreams
from streamer.live.planning.outputs import name_outputs
from streamer.live.planning.prepare import wire
from streamer.live.realtime.ports import CapturePort, DuplexPort, PlaybackPort
from streamer.live.realtime.run_clock import SYSTEM_CLOCK
from streamer.live.settings import LiveSettings

PERIOD, DELAY = 256, 1000
STEMS = ("drums", "vocals")
JACK = ("--input", "jack", "--output", "jack")
OUT = ["mix_L", "mix_R", "drums_L", "drums_R", "vocals_L", "vocals_R"]


class Run:
    """The streams of a run whose outputs play the mix on every pair."""

    def __init__(self, **settings: object) -> None:
        wish = LiveSettings(input="jack", output="jack", **settings)
        backend = backend_for(wish)
        assert isinstance(backend, JackBackend)
        wiring = name_outputs(wire(wish, backend)[0], wish, STEMS)
        self.streams = DeviceStreams(backend, wiring, len(STEMS), DELAY)
        (self.port,) = self.streams.ports.values()
        gains = np.zeros((6, self.port.outputs), np.float32)
        gains[4, ::2] = gains[5, 1::2] = 1
        self.port.set_gains(gains, 0 * gains[:2])
        self.streams.open()
        (self.stream,) = self.streams.all

    def watch(self) -> None:
        self.streams.watch(SYSTEM_CLOCK())

    def until(self, holds: Callable[[], bool]) -> None:
        def looked() -> bool:
            self.watch()
            return holds()

        wait_until(looked)

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


def to_card(client: str, outputs: int) -> set[tuple[str, str]]:
    sides = zip((1, 2), "LR", strict=True)
    taken = {(f"system:capture_{number}", f"{client}:in_{side}") for number, side in sides}
    names = OUT[:outputs]
    return taken | {
        (f"{client}:{name}", f"system:playback_{number + 1}") for number, name in enumerate(names)
    }


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
    backend = JackBackend("tester", connect=False)
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
                (f"tester:out_{side}", f"{target}_{side}"),
                (
                    f"{source}_{side}",
                    f"tester:in_{side}",
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


def test_sound_goes_through_to_the_bit_after_the_announced_delay_and_latencies_are_told(
    jack: Server,
) -> None:
    """A loop through two clients takes one period more, as with any two of JACK."""
    with running() as run:
        assert connections(jack) == to_card("stemstream", 6)
        sound = 0.5 * noise(RATE // 4)
        for attempt in range(3):
            heard = heard_through(jack, sound, "stemstream:in", "stemstream:vocals")
            # the card's silence is added to what is played into the inputs
            late = heard[DELAY + PERIOD :][: len(sound)]
            if np.array_equal(late, sound):
                break
            assert attempt < 2, "an xrun each time?"
        taken, _ = latencies(jack, "system:capture_1")
        _, given = latencies(jack, "system:playback_1")
        assert latencies(jack, "stemstream:in_L") == (taken, given + DELAY)
        assert latencies(jack, "stemstream:mix_L") == (taken + DELAY, given)
        run.watch()
        assert run.streams.device_seconds == (taken / RATE, given / RATE)
        assert run.streams.exact == (True, True)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_comes_back_finds_the_ports_and_their_connections(
    jack: Server, sent: signal.Signals
) -> None:
    with running() as run:
        assert jack.call("jack_disconnect", "stemstream:mix_L", "system:playback_1") is not None
        assert jack.call("jack_connect", "stemstream:mix_R", "system:playback_8") is not None
        wanted = to_card("stemstream", 6) - {("stemstream:mix_L", "system:playback_1")}
        wanted |= {("stemstream:mix_R", "system:playback_8")}
        assert connections(jack) == wanted
        told = run.stream.latency_seconds
        looks = iter(range(2 * LOOKS_TO_FORGET))
        run.until(lambda: next(looks, None) is None)
        jack.kill(sent)
        run.until(lambda: run.stream.away)
        run.until(lambda: run.stream.trouble.startswith("JACK is not running; start jackd"))
        jack.start()
        run.until(run.back)
        assert connections(jack) == wanted
        assert run.stream.latency_seconds == told
        recorded = run.streams.capture.counters()
        assert recorded.away_frames > 0
        assert recorded.captured_frames - run.port.counters().position in (DELAY, DELAY + PERIOD)


def test_a_server_that_comes_back_at_another_rate_is_waited_for(jack: Server) -> None:
    usual = jack.command
    with running() as run:
        try:
            jack.kill(signal.SIGTERM)
            jack.command = ["44100" if word == str(RATE) else word for word in usual]
            jack.start()
            wanted = f"samplerate={RATE} must be the one of the JACK server; try 44100"
            run.until(lambda: run.stream.trouble == wanted)
        finally:
            jack.kill(signal.SIGTERM)
            jack.command = usual
            jack.start()
        run.until(run.back)


def test_other_blocks_of_the_server_open_the_stream_again(jack: Server) -> None:
    with running(connect=False) as run:
        assert jack.call("jack_connect", "system:capture_2", "stemstream:in_L") is not None
        run.until(lambda: run.stream.latency_seconds[0] > 0)
        assert jack.call("jack_bufsize", str(2 * PERIOD)) is not None
        try:
            run.until(run.back)
            assert run.stream.request.blocksize == 2 * PERIOD
            assert connections(jack) == {("system:capture_2", "stemstream:in_L")}
            taken, _ = latencies(jack, "system:capture_2")
            run.until(lambda: run.stream.latency_seconds == (taken / RATE, 0))
        finally:
            jack.call("jack_bufsize", str(PERIOD))


def test_two_runs_are_two_clients_whose_delays_add_up_but_in_a_loop(jack: Server) -> None:
    first, second = {"jack_name": "band", "route": ("mix=1,2",)}, {"jack_name": "band"}
    with running(**first, connect=False) as earlier, running(**second) as later:
        assert later.stream.device_stream is not None
        assert connections(jack) == to_card("band-01", 6)
        for number, side in enumerate("LR", 1):
            jack.call("jack_disconnect", f"system:capture_{number}", f"band-01:in_{side}")
            assert jack.call("jack_connect", f"band:mix_{side}", f"band-01:in_{side}") is not None
        card = to_card("band-01", 6) - to_card("band-01", 0)
        between = {(f"band:mix_{side}", f"band-01:in_{side}") for side in "LR"}
        assert connections(jack) == card | between
        _, given = latencies(jack, "system:playback_1")
        wait_until(lambda: latencies(jack, "band:in_L") == (0, given + 2 * DELAY))
        assert latencies(jack, "band-01:vocals_R") == (2 * DELAY, given)
        later.until(lambda: later.streams.device_seconds == (DELAY / RATE, given / RATE))
        earlier.until(lambda: earlier.streams.device_seconds == (0, (given + DELAY) / RATE))
        # a loop: each tells JACK of a longer delay each time that it is asked
        assert jack.call("jack_connect", "band-01:vocals_L", "band:in_L") is not None
        earlier.until(lambda: earlier.streams.device_seconds == (0, 0))


def test_jack_iodelay_measures_the_announced_delay_of_a_run(
    jack: Server, live: Callable[..., LiveRun], tmp_path: Path
) -> None:
    """Of the command, with a name of its own."""
    try:
        servers.needs("jack_iodelay", "stdbuf")
    except servers.UnavailableError as error:
        pytest.skip(str(error))
    report = tmp_path / "report.json"
    run = live(*JACK, "-n", "passthrough", "--jack-name", "my band", "--report", report)
    run.until("running")
    assert ("my band:mix_L", "system:playback_1") in connections(jack)
    taken, given = latencies(jack, "system:capture_1")[0], latencies(jack, "system:playback_1")[1]
    frames = latencies(jack, "my band:vocals_L")[0] - taken
    measured = iodelay(jack, "my band:in_L", "my band:vocals_L", expected=frames + PERIOD)
    assert measured == pytest.approx(frames + PERIOD, abs=0.5)
    assert run.stop() == 130
    told = read_report(report)
    assert told["announced_delay_frames"] == frames
    assert told["announced_delay_seconds"] == pytest.approx((taken + frames + given) / RATE)


def test_blocks_and_rates_that_the_server_has_not_are_refused(
    jack: Server, refused: Callable[..., tuple[int, str]]
) -> None:
    _, line = refused(*JACK, "-n", "passthrough", "--blocksize", 64)
    assert "blocksize=64 must be JACK's, which has blocks of 256 frames; leave it out" in line
    code, line = refused(*JACK, "-n", "passthrough", "--samplerate", 44100)
    assert "samplerate=44100 must be the one of the JACK server; try 48000" in line
    assert code == 6


def test_without_a_server_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "nobody")
    with pytest.raises(DeviceError, match=r"^JACK is not (running|installed); "):
        backend_for(LiveSettings(input="jack"))
