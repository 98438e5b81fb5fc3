"""The numbers of a live run for Prometheus (`metrics_server`).

A scrape asks for a `Status` and reads the histograms that the run keeps anyway.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)

from streamer.live.status import OUTSIDE_NAMES, Meter, State, Status
from streamer.live.telemetry.histogram import DECADES, Histogram
from streamer.live.telemetry.latency import LatencyLog

BUCKETS: Final = 4 * DECADES
LEAST_BUCKET_SECONDS: Final = 1e-3
"""Prometheus gets only four bins a decade, from here on."""

COUNTERS: Final[Mapping[str, str]] = {
    "xruns": "Callbacks that found too little to play or no room for what was taken.",
    "dropped_frames": "Frames that were lost while their device was there.",
    "deadline_misses": "Windows that were missed: late, skipped or failed.",
    "device_losses": "Times that a device was away.",
    "played_frames": "Frames that were played.",
    "dry_frames": "Frames that were played without stems.",
}
GAUGES: Final[Mapping[str, tuple[str, str]]] = {
    "samplerate": ("samplerate_hertz", "Sample rate of the stream."),
    "delay_seconds": ("announced_delay_seconds", "Announced delay, devices and all."),
    "load": ("load", "Time in the model over the length of the sound, in the last seconds."),
    "rtf": (
        "real_time_factor",
        "Time in the model over the length of the sound, in the whole run.",
    ),
    "dry_share": ("dry_share", "Share of what was played that had no stems in it, 0 to 1."),
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
