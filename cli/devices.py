"""`stemstream devices`: the sound devices and MIDI ports that `stemstream live` can use."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from cli.terminal import output, tell
from streamer.errors import StemstreamError
from streamer.live.control.midi.ports import MidiPort, RtMidiPorts
from streamer.live.devices.device import Device
from streamer.live.devices.machine import MachineBackend, jack_if_it_runs
from streamer.live.devices.portaudio_library import quiet_libraries


def devices(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="print them as JSON", metavar="")] = False,
) -> None:
    """List sound devices and MIDI ports.

    --input and --output take an index, a name, or HOSTAPI:NAME; --midi takes a part of a name.
    """
    found = MachineBackend(jack_if_it_runs()).devices()
    if as_json:
        typer.echo(json.dumps([asdict(device) for device in found], indent=2))
        return
    if found:
        output.print(_table(found))
        tell("> is the default input, < the default output; latencies are for small blocks")
    else:
        tell("there is no sound device; plug one in or start a sound server, then see doctor")
    for port in _midi_ports():
        output.print(f"MIDI {port}", soft_wrap=True)


def _midi_ports() -> list[MidiPort]:
    """Return the MIDI ports; none where there is no MIDI, which --midi says."""
    with quiet_libraries(), suppress(StemstreamError):
        return RtMidiPorts().ports()
    return []


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
            "any" if device.makes_ports else str(device.input_channels),
            "any" if device.makes_ports else str(device.output_channels),
            str(device.samplerate),
            _milliseconds(device.input_latency_seconds, device.input_channels),
            _milliseconds(device.output_latency_seconds, device.output_channels),
        )
    return table


def _milliseconds(seconds: float, channels: int) -> str:
    return f"{1000 * seconds:.1f} ms" if channels else ""
