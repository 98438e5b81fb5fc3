"""`stemstream separate`: songs into stems, with the flags of `demucs` and more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import with_settings
from streamer.resolve import resolve
from streamer.settings import Settings

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="settings file in TOML; without one stemstream.toml in the current "
        "folder, which may set only how it sounds",
        metavar="FILE",
    ),
]


@with_settings(Settings)
def separate(
    *,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="audio or video files; - is standard input"),
    ],
    config: Config = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="print what was done as JSON on standard output", metavar=""),
    ] = False,
    flags: dict[str, object],
) -> None:
    """Separate songs into stems: OUT/MODEL/TRACK/STEM.wav, as demucs does."""
    settings = resolve(flags, config=config).settings
    # imported here, since the engine takes a second that help and wrong flags need not wait for
    from cli.tracks import separate_all

    raise typer.Exit(separate_all(inputs, settings, as_json=as_json))
