"""The commands of `stemstream`, put together."""

from __future__ import annotations

import typer

from cli import (
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
from cli.verbose import with_verbose

app = typer.Typer(
    name="stemstream",
    help="A song's stems while it plays.",
    epilog="Exits with 0 when all is done, 2 for a wrong flag or setting, 3 for an input that "
    "cannot be read, 4 for an output that cannot be written, 5 for a model that cannot be had, "
    "6 for a sound device that refuses, 130 after Ctrl-C, 143 when terminated, 129 when its "
    "terminal is closed, and 1 for a fault of its own.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("separate")(with_verbose(separate.separate))
app.command("live")(with_verbose(live.live))
app.command("plan")(with_verbose(live.plan))
app.command("latency")(with_verbose(latency.latency))
app.command("train")(with_verbose(train.train))
app.command("demo")(with_verbose(demo.demo))
app.add_typer(models.app, name="models")
app.command("presets")(with_verbose(presets.presets))
app.command("devices")(with_verbose(devices.devices))
app.add_typer(bench.app, name="bench")
app.command("eval")(with_verbose(evaluate.evaluate))
app.command("doctor")(with_verbose(doctor.doctor))
