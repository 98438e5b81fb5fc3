"""`stemstream latency`: the delay from input to output, measured by a cable between them."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.live import AsJson
from cli.options import with_settings
from cli.separate import Config
from streamer.errors import SettingsError
from streamer.live.settings import LiveSettings
from streamer.resolve import resolve

USED = (
    *("model", "repo", "trust_checkpoint", "device", "torch_num_threads"),
    *("window", "hop", "lookahead", "crossfade", "normalize", "resampler", "shifts"),
    *("input", "input_channels", "output", "samplerate", "blocksize", "buffer"),
    *("jack_name", "connect"),
    *("latency", "calibrate"),
)
"""Settings of a live run that its delay depends on."""

MEANINGLESS = tuple(name for name in LiveSettings.model_fields if name not in USED)


@with_settings(LiveSettings, MEANINGLESS)
def latency(
    *,
    output_channels: Annotated[
        str | None,
        typer.Option(
            "--output-channels",
            help="the output's channels that the cable is on, one or two, from 1 \\[default: 1,2]",
            metavar="CHANNELS",
            rich_help_panel="Devices",
            show_default=False,
        ),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
    flags: dict[str, object],
) -> None:
    """Measure the delay end to end: connect the output to the input by a cable first.

    Plays bursts of noise at -12 dBFS and finds them in what comes back, first through the devices
    alone, then through a live run as well: of passthrough, which alters nothing, or of --model.
    Turn loudspeakers down. A sound server needs no cable: on PulseAudio or PipeWire the input is
    the monitor of the output's sink; on JACK (--input jack --output jack) connect the ports
    stemstream:out_1 and stemstream:in_L while the devices are listened to.
    """
    resolved = resolve(flags, config=config, kind=LiveSettings)
    if resolved.origins["model"] == "default":
        resolved = resolve(flags | {"model": "passthrough"}, config=config, kind=LiveSettings)
    channels = _channels(output_channels)
    # imported here, since the engine takes a second that help and wrong flags need not wait for
    from cli.latency_run import run_latency

    run_latency(resolved.settings, channels, as_json=as_json)


def _channels(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise SettingsError(f"output-channels={text} must be one or two numbers; try 1,2")
    return tuple(map(int, parts))
