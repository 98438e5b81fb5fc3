"""The numbers of a live run for Prometheus, over HTTP, while it runs.

::

    with MetricsServer(look, latency, port=9464) as server:     # http://127.0.0.1:9464/metrics
        ...

Nothing is gathered between two scrapes. A scrape asks for a `Status` and reads the histograms that
the run keeps anyway. The server has its own thread, and one for each scrape; the audio waits for
none of them.
"""

from __future__ import annotations

import io
import math
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from socketserver import TCPServer, ThreadingMixIn
from threading import Semaphore, Thread
from typing import Any, Final, Self, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)

from streamer.live.listen import LOOPBACK, Address, find_address, refusal, shown
from streamer.live.status import OUTSIDE_NAMES, Meter, State, Status
from streamer.live.telemetry.histogram import DECADES, Histogram
from streamer.live.telemetry.latency import LatencyLog

STALLED_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.1
MOST_CONNECTIONS: Final = 16
BUCKETS: Final = 4 * DECADES
LEAST_BUCKET_SECONDS: Final = 1e-3
"""Prometheus gets only four bins a decade, from here on."""

COUNTERS: Final[Mapping[str, str]] = {
    "xruns": "Callbacks that found too little to play or no room for what was taken.",
    "dropped_frames": "Frames that were lost.",
    "deadline_misses": "Windows that were missed: late, skipped or failed.",
    "device_losses": "Times that a device was away.",
    "played_frames": "Frames that were played.",
    "dry_frames": "Frames that were played without stems.",
}
GAUGES: Final[Mapping[str, tuple[str, str]]] = {
    "samplerate": ("samplerate_hertz", "Sample rate of the stream."),
    "delay_seconds": ("announced_delay_seconds", "Announced delay, devices and all."),
    "load": ("load", "Time in the model over that of the sound, in the last seconds."),
    "rtf": ("real_time_factor", "Time in the model over that of the sound, in the whole run."),
    "rung": ("overload_rung", "Step of the overload ladder that holds; 0 is as planned."),
    "song_seconds": ("song_position_seconds", "Second of the song that is heard now."),
    "song_length_seconds": ("song_length_seconds", "Length of the song that is played."),
}


class RunCollector:
    """Makes metrics from a run's status and its log."""

    def __init__(self, look: Callable[[], Status], latency: LatencyLog) -> None:
        self._look = look
        self._latency = latency

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        status = self._look()
        yield InfoMetricFamily("stemstream_run", "What runs.", {"model": status.model})
        yield StateSetMetricFamily(
            "stemstream_state", "State.", {state.value: state is status.state for state in State}
        )
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(
                f"stemstream_{OUTSIDE_NAMES.get(name, name)}", text, getattr(status, name)
            )
        for name, (metric, text) in GAUGES.items():
            value = getattr(status, name)
            if value is not None:  # without a played file there is no song
                yield GaugeMetricFamily(f"stemstream_{metric}", text, value)
        yield from self._delays()
        yield from _meters(status)

    def _delays(self) -> Iterator[Metric]:
        deviation = self._latency.deviation
        worst = max(-deviation.min, deviation.max) if deviation.count else math.nan
        yield GaugeMetricFamily(
            "stemstream_delay_deviation_max_seconds",
            "The most that the delay was off the announced one.",
            worst,
        )
        delay = HistogramMetricFamily("stemstream_delay_seconds", "Measured delay.", labels=[])
        _add(delay, [], self._latency.delay)
        yield delay
        text = "Time in a part of the way; the parts add up to the delay."
        stages = HistogramMetricFamily("stemstream_stage_seconds", text, labels=["stage"])
        for stage, times in self._latency.stages.items():
            _add(stages, [stage.value], times)
        yield stages


class MetricsServer:
    """Serves the metrics until it is closed; ``port`` 0 takes a free one.

    Raises:
        SettingsError: the port is taken, or the host is not an address of this machine.
    """

    def __init__(
        self,
        look: Callable[[], Status],
        latency: LatencyLog,
        *,
        port: int,
        host: str = LOOPBACK,
    ) -> None:
        registry = CollectorRegistry()
        registry.register(RunCollector(look, latency))
        family, address = find_address("metrics", host, port, socket.SOCK_STREAM)
        try:
            self._server = _Server(family, address)
        except OSError as error:
            raise refusal("metrics", host, port, error) from None
        self._server.set_app(make_wsgi_app(registry))
        self.port: int = self._server.server_port
        self.url = f"http://{shown(host, self.port)}/metrics"
        self._thread = Thread(target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each scrape; nothing is printed if a client breaks off."""

    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, address: Address) -> None:
        self.address_family = family
        self._room = Semaphore(MOST_CONNECTIONS)
        super().__init__(address, _Handler)

    def get_request(self) -> Any:
        """Take a connection; wait a little if no file descriptor is left.

        Without the wait the same connection would be offered again at once.
        """
        try:
            return super().get_request()
        except OSError:
            time.sleep(POLL_SECONDS)
            raise

    def verify_request(self, request: object, client_address: object) -> bool:  # noqa: ARG002
        """Return whether there is room: connections must not eat the descriptors of the run."""
        return self._room.acquire(blocking=False)

    def process_request(self, request: Any, client_address: object) -> None:
        """Answer in a thread of its own."""
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread is to be had
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: object) -> None:
        """Answer, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def server_bind(self) -> None:
        """Take the address; the base would look its name up, which may take the network's time."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


class _Handler(WSGIRequestHandler):
    timeout = STALLED_SECONDS

    def get_stderr(self) -> TextIO:
        """Return where errors are shown: nowhere, the scraper gets status 500."""
        return io.StringIO()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        """Say nothing."""


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    step = (len(histogram.edges) - 1) // BUCKETS
    buckets = [
        (_bound(edge), float(count))
        for edge, count in histogram.cumulative(step)
        if edge > 0.99 * LEAST_BUCKET_SECONDS  # the edges are rounded
    ]
    family.add_metric(labels, buckets, histogram.total)


def _bound(edge: float) -> str:
    return "+Inf" if edge == math.inf else f"{edge:.6g}"


def _meters(status: Status) -> Iterable[Metric]:
    for name, text in (("peak", "Largest magnitude"), ("rms", "Root mean square")):
        stems = GaugeMetricFamily(
            f"stemstream_stem_{name}", f"{text} of a stem; 1 is full scale.", labels=["stem"]
        )
        for stem, meter in status.stems.items():
            stems.add_metric([stem], _level(meter, name))
        yield stems
        outputs = GaugeMetricFamily(
            f"stemstream_output_{name}",
            f"{text} of an output channel; 1 is full scale.",
            labels=["port", "channel"],
        )
        for port, meters in status.outputs.items():
            for channel, meter in enumerate(meters, 1):
                outputs.add_metric([port, str(channel)], _level(meter, name))
        yield outputs


def _level(meter: Meter, name: str) -> float:
    return meter.peak if name == "peak" else meter.rms
