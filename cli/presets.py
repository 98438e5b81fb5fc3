"""`stemstream presets`: the presets, and which settings hold here and now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli.terminal import output
from streamer.presets import PRESETS
from streamer.resolve import resolve


def presets(
    *,
    show: Annotated[
        bool,
        typer.Option(
            "--show", help="print each setting that holds, and where it came from", metavar=""
        ),
    ] = False,
    preset: Annotated[
        str | None, typer.Option("--preset", help="show them under this preset", metavar="NAME")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="settings file in TOML", metavar="FILE")
    ] = None,
) -> None:
    """List the presets; with --show the settings that hold, with their origins."""
    if show:
        table = Table("setting", "value", "from", box=None)
        for row in resolve({"preset": preset}, config=config).rows():
            table.add_row(*row)
    else:
        columns = next(iter(PRESETS.values()))
        table = Table("preset", *(name.replace("_", " ") for name in columns), box=None)
        for name, values in PRESETS.items():
            table.add_row(name, *map(str, values.values()))
    output.print(table)
