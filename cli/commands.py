"""The commands of `stemstream`, put together."""

from __future__ import annotations

import typer
from typer.main import get_command

from cli import (
    batch,
    bench,
    demo,
    devices,
    doctor,
    evaluate,
    latency,
    live,
    models,
    presets,
    separate,
    train,
)
from cli.verbose import share_verbose, take_verbose

app = typer.Typer(
    name="stemstream",
    callback=take_verbose,
    help="A song's stems while it plays.",
    epilog="Exits with 0 when all is done, 2 for a wrong flag or setting, 3 for an input that "
    "cannot be read, 4 for an output that cannot be written, 5 for a model that cannot be had, "
    "6 for a sound device that refuses, 130 after Ctrl-C, 143 when terminated, 129 when its "
    "terminal is closed, and 1 for a fault of its own.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_STEMS, _LIVE, _MODELS, _FIRST = "Stems", "Before live", "Models", "First steps"

app.command("separate", rich_help_panel=_STEMS)(separate.separate)
app.command("batch", rich_help_panel=_STEMS)(batch.batch)
app.command("live", rich_help_panel=_STEMS)(live.live)
app.command("devices", rich_help_panel=_LIVE)(devices.devices)
app.command("plan", rich_help_panel=_LIVE)(live.plan)
app.command("latency", rich_help_panel=_LIVE)(latency.latency)
app.add_typer(models.app, name="models", rich_help_panel=_MODELS)
app.add_typer(bench.app, name="bench", rich_help_panel=_MODELS)
app.command("eval", rich_help_panel=_MODELS)(evaluate.evaluate)
app.command("train", rich_help_panel=_MODELS)(train.train)
app.command("demo", rich_help_panel=_FIRST)(demo.demo)
app.command("presets", rich_help_panel=_FIRST)(presets.presets)
app.command("doctor", rich_help_panel=_FIRST)(doctor.doctor)

stemstream = share_verbose(get_command(app))
"""What `cli.main` runs: all commands, with the one flag that each of them takes."""
