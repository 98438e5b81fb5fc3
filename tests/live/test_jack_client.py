"""Our own JACK client, on one server for nearly all of it: no model and no engine, but for the end.

The run under test is `DeviceStreams`, as a session has it. A second client plays into it and
records what comes out.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from live.support import servers
from live.support.causal import small_causal
from live.support.command import LiveRun, read_report
from live.support.heard import lag
from live.support.iodelay import iodelay
from live.support.jack_run import (
    DELAY,
    OUT,
    PERIOD,
    clients,
    connections,
    heard_through,
    latencies,
    running,
)
from live.support.servers import RATE, Server, wait_until
from live.support.staging import known_timing
from support.doubles import noise

from streamer.errors import DeviceError
from streamer.live.devices.device import PortName, StreamRequest
from streamer.live.devices.jack import JackBackend
from streamer.live.devices.jack_connections import LOOKS_TO_FORGET
from streamer.live.devices.machine import backend_for
from streamer.live.realtime.ports import CapturePort, PlaybackPort
from streamer.live.session import open_session
from streamer.live.settings import LiveSettings
from streamer.live.status import State
from streamer.live.telemetry.report import write_report

JACK = ("--input", "jack", "--output", "jack")


def to_card(client: str, outputs: int) -> set[tuple[str, str]]:
    sides = zip((1, 2), "LR", strict=True)
    taken = {(f"system:capture_{number}", f"{client}:in_{side}") for number, side in sides}
    names = OUT[:outputs]
    return taken | {
        (f"{client}:{name}", f"system:playback_{number + 1}") for number, name in enumerate(names)
    }


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
        run.streams.set_delay(DELAY + PERIOD)  # as the silent beginning may
        run.until(lambda: latencies(jack, "stemstream:mix_L") == (taken + DELAY + PERIOD, given))
        assert latencies(jack, "stemstream:in_L") == (taken, given + DELAY + PERIOD)
        assert run.streams.device_seconds == (taken / RATE, given / RATE)
        assert run.streams.exact == (True, True)


def test_a_server_that_hangs_and_goes_on_keeps_one_client_of_ours(jack: Server) -> None:
    """It hangs while a stream is opened, again and again; each try is given up."""
    assert jack.process is not None
    with running() as run:
        run.patience(0.3)
        os.killpg(jack.process.pid, signal.SIGSTOP)
        try:
            for _ in range(2):
                run.until(lambda: "does not answer" in run.stream.trouble)
                run.stream.trouble = ""
        finally:
            os.killpg(jack.process.pid, signal.SIGCONT)
        run.patience(5.0)
        run.until(run.back)
        run.until(lambda: clients(jack) == {"stemstream"})
        run.until(lambda: connections(jack) == to_card("stemstream", 6))


def test_input_and_output_as_two_streams_are_two_clients_that_keep_their_names(
    jack: Server,
) -> None:
    backend = JackBackend(connect=False)
    (device,) = backend.devices()
    played = PlaybackPort(0, 2, RATE, 0, capacity_frames=RATE)
    taken = CapturePort(2, RATE, [], capacity_frames=RATE)
    output = StreamRequest(
        *(None, device, 0, 2, RATE, PERIOD, "low", played.callback_address, played.address),
        owner=played,
        output_ports=tuple(PortName(f"out_{side}", 1) for side in "LR"),
    )
    input_ = StreamRequest(
        *(device, None, 2, 0, RATE, PERIOD, "low", taken.callback_address, taken.address),
        owner=taken,
        input_ports=tuple(PortName(f"in_{side}", 1) for side in "LR"),
    )
    for one in (output, input_):
        backend.open(one).close()  # as a run that asks for their latencies
    for order in ((input_, output), (output, input_)):
        with ExitStack() as stack:
            names = {}
            for one in order:
                stream = backend.open(one)
                stack.callback(stream.close)
                names[one.input is None] = stream.name
            assert names == {False: "stemstream", True: "stemstream-01"}


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


def test_the_delay_that_a_native_run_reports_is_the_measured_one_to_the_frame(
    jack: Server, timings: None, tmp_path: Path
) -> None:
    """Of the mix, and of the stems, which go through the model and both resamplers."""
    bag, report = small_causal(tmp_path), tmp_path / "report.json"
    wish = LiveSettings(model="small", input="jack", output="jack", connect=False)
    sound = 0.5 * noise(RATE // 4)
    with (
        known_timing(0.001, bag.samplerate),
        open_session(wish, backend_for(wish), lambda _: bag) as session,
    ):
        assert session.status().engine == "native"
        session.start()
        wait_until(lambda: session.status().state is State.RUNNING)
        measured = {
            port: lag(sound, heard_through(jack, sound, "stemstream:in", f"stemstream:{port}"))
            for port in ("mix", "drums")
        }
        write_report(report, session.report())
    told = read_report(report)
    frames = told["announced_delay_frames"]
    assert measured == {"mix": frames + PERIOD, "drums": frames + PERIOD}
    assert told["announced_delay_seconds"] == pytest.approx(frames / RATE, abs=0.5 / RATE)


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
