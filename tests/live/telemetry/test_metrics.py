"""The metrics as Prometheus would read them: parsed from what the server answers."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamer.errors import SettingsError
from streamer.live.status import Meter, State, Status
from streamer.live.telemetry.latency import LatencyLog, Stage, WindowTimes
from streamer.live.telemetry.metrics import RunCollector
from streamer.live.telemetry.metrics_server import MOST_CONNECTIONS, MetricsServer

RATE = 48000


def status(**changes):
    """A look at a run."""
    values = {
        "state": State.RUNNING,
        "model": 'ht"demucs\n',
        "samplerate": RATE,
        "played_frames": 480000,
        "delay_seconds": 0.3,
        "xruns": 2,
        "dropped_frames": 96,
        "deadline_misses": 5,
        "device_losses": 1,
        "rtf": 0.5,
        "rung": 1,
        "stems": {"vocals": Meter(0.5, 0.1)},
        "outputs": {"main": [Meter(0.9, 0.2), Meter(0.8, 0.3)]},
    }
    return Status(**(values | changes))


def log(windows=10, inference_seconds=0.1):
    """A log of windows whose delay is 0.3 s; the last is 2 ms late."""
    latency = LatencyLog(RATE, 0.3)
    for index in range(windows):
        stamps = [0, 0.01, 0.1, 0.1, 0.1, 0.1 + inference_seconds, 0.25]
        latency.feed(WindowTimes(index * RATE, *stamps, 0.302 if index == windows - 1 else 0.3))
    return latency


def scrape(server):
    """What the server answers, as {(name, labels): value}."""
    with urllib.request.urlopen(server.url, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name.removeprefix("stemstream_"), *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_where_a_file_is_played_the_song_has_a_position_and_a_length():
    song = status(song_seconds=83.5, song_length_seconds=245.0)
    with MetricsServer(RunCollector(lambda: song, log()), port=0) as server:
        values = scrape(server)
    assert values["song_position_seconds",] == 83.5
    assert values["song_length_seconds",] == 245.0


def test_counters_gauges_state_and_meters():
    with MetricsServer(RunCollector(status, log()), port=0) as server:
        values = scrape(server)
    assert values["xruns_total",] == 2
    assert values["dropped_frames_total",] == 96
    assert values["deadline_misses_total",] == 5
    assert values["gaps_total",] == 1
    assert values["played_frames_total",] == 480000
    assert values["samplerate_hertz",] == RATE
    assert values["announced_delay_seconds",] == 0.3
    assert values["real_time_factor",] == 0.5
    assert values["overload_rung",] == 1
    assert ("song_position_seconds",) not in values
    assert values["run_info", 'ht"demucs\n'] == 1
    assert values["state", "running"] == 1
    assert sum(value for (name, *_), value in values.items() if name == "state") == 1
    assert values["stem_peak", "vocals"] == 0.5
    assert values["stem_rms", "vocals"] == 0.1
    assert values["output_peak", "1", "main"] == 0.9
    assert values["output_rms", "2", "main"] == 0.3


def test_histograms_of_delay_and_stages():
    with MetricsServer(RunCollector(status, log()), port=0) as server:
        values = scrape(server)
    assert values["delay_seconds_count",] == 10
    assert values["delay_seconds_sum",] == pytest.approx(3.002)
    assert values["delay_deviation_max_seconds",] == pytest.approx(0.002)
    for stage in Stage:
        assert values["stage_seconds_count", stage.value] == 10
    assert values["stage_seconds_sum", "inference"] == pytest.approx(1.0)
    assert values["stage_seconds_bucket", "+Inf", "inference"] == 10
    bounds = {
        float(labels[0]): value
        for (name, *labels), value in values.items()
        if name == "delay_seconds_bucket"
    }
    assert len(bounds) == 26
    counts = [bounds[bound] for bound in sorted(bounds)]
    assert counts == sorted(counts)
    assert bounds[0.177828] == 0
    assert bounds[0.316228] == 10


def test_each_scrape_looks_anew_and_before_the_first_window_too():
    latency, looks = LatencyLog(RATE, 0.3), []

    def look():
        looks.append(1)
        return status(xruns=len(looks))

    with MetricsServer(RunCollector(look, latency), port=0) as server:
        first = scrape(server)
        latency.feed(WindowTimes(0, 0, 0, 0, 0, 0, 0, 0, 0.3))
        second = scrape(server)
    assert (first["xruns_total",], first["delay_seconds_count",]) == (1, 0)
    assert (second["xruns_total",], second["delay_seconds_count",]) == (2, 1)


def test_it_listens_on_this_machine_alone():
    with MetricsServer(RunCollector(status, log()), port=0) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert server._server.socket.getsockname()[0] == "127.0.0.1"


def test_a_look_that_fails_is_status_500_and_nothing_on_the_terminal(capfd):
    def look():
        raise RuntimeError("no")

    with MetricsServer(RunCollector(look, log()), port=0) as server:
        with pytest.raises(urllib.error.HTTPError) as error:
            scrape(server)
        error.value.close()
        assert error.value.code == 500
    assert capfd.readouterr() == ("", "")


def test_clients_that_hang_or_talk_rubbish_hold_up_nobody(capfd):
    with MetricsServer(RunCollector(status, log()), port=0) as server:
        address = ("127.0.0.1", server.port)
        with socket.create_connection(address), socket.create_connection(address) as rubbish:
            rubbish.sendall(b"\x00\xff rubbish \r\n\r\n")
            with ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(scrape, [server] * 8))
    assert all(answer["xruns_total",] == 2 for answer in answers)
    assert capfd.readouterr() == ("", "")


def test_closing_frees_the_port():
    with MetricsServer(RunCollector(status, log()), port=0) as server:
        port = server.port
    server.close()
    with MetricsServer(RunCollector(status, log()), port=port) as server:
        assert server.port == port
        scrape(server)


def test_a_port_that_is_taken_is_one_sentence():
    with MetricsServer(RunCollector(status, log()), port=0) as server:
        told = rf"^metrics={server.port} must be a port that no other program has on .*; try 0"
        with pytest.raises(SettingsError, match=told):
            MetricsServer(RunCollector(status, log()), port=server.port)


def test_a_host_of_another_machine_is_one_sentence():
    with pytest.raises(SettingsError, match=r"^host=203\.0\.113\.1 must be .*; try 127\.0\.0\.1"):
        MetricsServer(RunCollector(status, log()), port=0, host="203.0.113.1")


def test_a_number_that_is_no_port():
    with pytest.raises(SettingsError, match=r"^metrics=70000 must be between 0 and 65535; try 0"):
        MetricsServer(RunCollector(status, log()), port=70000)


def test_metrics_on_ipv6():
    try:
        server = MetricsServer(RunCollector(status, log()), port=0, host="::1")
    except SettingsError:
        pytest.skip("no IPv6 loopback here")
    with server:
        assert server.url == f"http://[::1]:{server.port}/metrics"
        assert scrape(server)["xruns_total",] == 2


def test_buckets_begin_at_a_millisecond():
    latency = LatencyLog(RATE, 0.3)
    latency.feed(WindowTimes(0, 0, 0.0005, 0.1, 0.1, 0.1, 0.2, 0.25, 0.3))
    with MetricsServer(RunCollector(status, latency), port=0) as server:
        values = scrape(server)
    bounds = {float(labels[0]) for (name, *labels) in values if name == "delay_seconds_bucket"}
    assert min(bounds) == 0.001
    assert values["stage_seconds_bucket", "0.001", "capture"] == 1


def test_more_connections_than_there_is_room_for_are_let_go():
    with MetricsServer(RunCollector(status, log()), port=0) as server, ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
            for _ in range(MOST_CONNECTIONS + 1)
        ]
        assert idle[-1].recv(1) == b""
        for one in idle[:4]:
            one.close()
        # the places are free as soon as the threads have seen it
        while True:
            with suppress(OSError):
                assert scrape(server)["xruns_total",] == 2
                break


LITTLE = """
import resource, socket, sys, time
from streamer.live.telemetry.latency import LatencyLog
from streamer.live.telemetry.metrics import RunCollector
from streamer.live.telemetry.metrics_server import MetricsServer
from streamer.live.status import Status
refused = []
def accept(self, take=socket.socket.accept):
    try:
        return take(self)
    except OSError:
        refused.append(time.monotonic())
        raise
socket.socket.accept = accept
with MetricsServer(RunCollector(Status, LatencyLog(48000, 0.3)), port=0) as server:
    client = socket.socket()
    clients = [client.dup() for _ in range(8)]
    last = max(one.fileno() for one in clients)
    resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1, last + 1))
    client.connect(("127.0.0.1", server.port))
    while len(refused) < 4:
        time.sleep(0.01)
    for one in clients:
        one.close()
    client.sendall(b"GET /metrics HTTP/1.0\\r\\n\\r\\n")
    assert b"200 OK" in client.recv(100)
gaps = [after - before for before, after in zip(refused, refused[1:])]
sys.exit(min(gaps) < 0.05 and f"tried again after {min(gaps)} s")
"""


def test_connections_without_descriptors_do_not_spin_the_server():
    done = subprocess.run(
        [sys.executable, "-c", LITTLE], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_scrape_is_as_large_after_hours():
    latency = log(20)
    with MetricsServer(RunCollector(status, latency), port=0) as server:
        series = len(scrape(server))
        for index in range(3000):
            latency.feed(WindowTimes(index * RATE, 0, 0, 0, 0, 0, index / 300, 10, 10.3))
        assert len(scrape(server)) == series < 500
