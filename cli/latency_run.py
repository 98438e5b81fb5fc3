"""The table of a measured round trip."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from rich.table import Table

from cli.terminal import output, tell
from streamer.live.devices.machine import backend_for
from streamer.live.roundtrip.loopback import LoopbackDelay
from streamer.live.roundtrip.run import RoundTrip, measure
from streamer.live.settings import LiveSettings

UNSURE = 0.9
"""A delay that fewer of the bursts agree on is told with a word of warning."""


def run_latency(settings: LiveSettings, channels: tuple[int, ...] | None, *, as_json: bool) -> None:
    """Measure, and print what came out.

    Raises:
        StemstreamError: nothing comes back, or something that is asked for cannot be had.
    """
    trip = measure(settings, backend_for(settings), channels=channels, tell=tell)
    if as_json:
        json.dump(plain(trip), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    output.print(_table(trip))
    tell(_verdict(trip))
    for name, delay in (("devices", trip.device), ("whole", trip.total)):
        if (doubt := _doubt(name, delay)) is not None:
            tell(doubt)


def plain(trip: RoundTrip) -> dict[str, object]:
    """Return a round trip in JSON's types."""
    rate = trip.samplerate
    return {
        "model": trip.plan.request.model,
        "input": _input_name(trip),
        "output": trip.wiring.outputs[0].name,
        "duplex": trip.wiring.duplex,
        "samplerate": rate,
        "blocksize": trip.wiring.blocksize,
        "announced_delay_seconds": trip.announced_frames / rate,
        "measured_delay_seconds": trip.total.exact_frames / rate,
        "device": {
            "claimed_input_seconds": trip.claimed_seconds[0],
            "claimed_output_seconds": trip.claimed_seconds[1],
            "claimed_frames": trip.claimed_frames,
            "measured": asdict(trip.device),
        },
        "separator": {
            "announced_frames": trip.announced_separator_frames,
            "measured_frames": trip.separator_frames,
            "parts_frames": trip.parts(),
        },
        "total": {
            "announced_frames": trip.announced_frames,
            "measured": asdict(trip.total),
        },
        "xruns": trip.xruns,
        "deadline_misses": trip.missed_windows,
    }


def _input_name(trip: RoundTrip) -> str:
    return trip.wiring.input.name if trip.wiring.input is not None else ""


def _table(trip: RoundTrip) -> Table:
    rate = trip.samplerate
    table = Table(
        title=f"{trip.plan.request.model}, {_input_name(trip)} to {trip.wiring.outputs[0].name}, "
        f"{rate} Hz",
        title_justify="left",
        box=None,
    )
    table.add_column("part")
    for name in ("announced", "frames", "measured", "frames", "difference"):
        table.add_column(name, justify="right")

    def row(name: str, announced: float, measured: float | None = None) -> None:
        cells = [name, f"{1000 * announced / rate:.1f} ms", f"{announced:.0f}"]
        if measured is not None:
            difference = f"{round(measured - announced):+d} frames"
            cells += [f"{1000 * measured / rate:.1f} ms", f"{measured:.0f}", difference]
        table.add_row(*cells)

    row("  input, as it says", trip.claimed_seconds[0] * rate)
    row("  output, as it says", trip.claimed_seconds[1] * rate)
    row("devices, there and back", trip.claimed_frames, trip.device.frames)
    for name, frames in trip.parts().items():
        row(f"  {name}", frames)
    row("separator", trip.announced_separator_frames, trip.separator_frames)
    row("whole", trip.announced_frames, trip.total.frames)
    return table


def _verdict(trip: RoundTrip) -> str:
    more = trip.total.exact_frames - trip.announced_frames
    words = f"from input to output {1000 * trip.total.exact_frames / trip.samplerate:.1f} ms: "
    if abs(more) < 1:
        return f"{words}as announced"
    less = "more" if more > 0 else "less"
    words += f"{1000 * abs(more) / trip.samplerate:.1f} ms {less} than announced"
    if abs(more) <= trip.wiring.blocksize:
        return f"{words}, which is within a block"
    if abs(trip.device.frames - trip.claimed_frames) > abs(more) / 2:
        return f"{words}, since the devices take other times than they say"
    return words


def _doubt(name: str, delay: LoopbackDelay) -> str | None:
    """Return what makes a delay less than sure."""
    if delay.spread_frames > 1.5:
        return (
            f"{name}: moved by {delay.spread_frames:.0f} frames or more while it was measured, "
            "since two clocks drift or the sound server changes its buffer"
        )
    if delay.confidence < UNSURE:
        return f"{name}: only {delay.confidence:.0%} of the bursts came back well"
    return None
