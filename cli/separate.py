"""`stemstream separate`: songs into stems, with the flags of `demucs` and more."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.options import with_settings
from cli.standard import refuse_closed
from streamer.errors import SettingsError
from streamer.naming import PIPE
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
    if settings.out == PIPE:
        _refuse_crowded_output(as_json=as_json)
    if not any(Path(path) == PIPE or os.access(path, os.F_OK) for path in inputs):
        raise typer.Exit(_told_missing(inputs, as_json=as_json))
    # imported here, since help and wrong flags need not wait for it; the engine last, since the
    # model loads meanwhile
    from cli.loading import load_model

    bag = load_model(settings, ahead=not settings.resume)
    from cli.tracks import separate_all

    raise typer.Exit(separate_all(inputs, settings, bag, as_json=as_json))


def _told_missing(inputs: list[str], *, as_json: bool) -> int:
    """Say why no input can be opened, before a model is fetched for it; return the exit code."""
    from cli.report import print_json
    from cli.tracks import try_all
    from streamer.files import open_source

    def refuse(path: str) -> dict[str, object]:
        open_source(path).close()
        return {"source": path}

    outcomes, code = try_all(inputs, refuse)
    if as_json:
        print_json(outcomes)
    return code


def _refuse_crowded_output(*, as_json: bool) -> None:
    if as_json:
        raise SettingsError("--json and --out - both want standard output; give one of them")
    refuse_closed()
    if sys.stdout.isatty():
        raise SettingsError("--out - writes audio, and standard output is a terminal; pipe it on")
