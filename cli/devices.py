"""`stemstream devices`: the sound devices that `stemstream live` can use."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from cli.terminal import output, tell
from streamer.live.devices.device import Device
from streamer.live.devices.portaudio import PortAudioBackend


def devices(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="print them as JSON", metavar="")] = False,
) -> None:
    """List sound devices; --input and --output take an index, a name, or HOSTAPI:NAME."""
    found = PortAudioBackend().devices()
    if as_json:
        typer.echo(json.dumps([asdict(device) for device in found], indent=2))
    elif found:
        output.print(_table(found))
        tell("> is the default input, < the default output; latencies are for small blocks")
    else:
        tell("there is no sound device; plug one in or start a sound server, then see doctor")


def _table(found: list[Device]) -> Table:
    table = Table(box=None)
    for name in ("", "index", "name", "host API", "in", "out", "Hz", "latency in", "out"):
        table.add_column(name, justify="left" if name in ("", "name", "host API") else "right")
    for device in found:
        table.add_row(
            ">" * device.default_input + "<" * device.default_output,
            str(device.index),
            device.name,
            device.hostapi,
            str(device.input_channels),
            str(device.output_channels),
            str(device.samplerate),
            _milliseconds(device.input_latency_seconds, device.input_channels),
            _milliseconds(device.output_latency_seconds, device.output_channels),
        )
    return table


def _milliseconds(seconds: float, channels: int) -> str:
    return f"{1000 * seconds:.1f} ms" if channels else ""
