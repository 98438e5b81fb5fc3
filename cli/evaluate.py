"""`stemstream eval`: how near stems come to the true ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import typer

from cli.options import with_settings
from streamer.errors import SettingsError
from streamer.evaluation.settings import EvalSettings
from streamer.resolve import flag, resolve

MEANINGLESS = (
    "two_stems",
    "other_method",
    "residual",
    "loudness",
    "sample_format",
    "dither",
)
"""Settings of what is written, not of what is judged; those of a settings file change nothing."""
JUDGING = ("stems", "songs", "seconds", "bss_eval")
"""Settings of what is judged, whatever made it."""


Data = Annotated[
    Path | None,
    typer.Option("--data", help="songs with their stems, to separate", metavar="FOLDER"),
]
Reference = Annotated[
    Path | None,
    typer.Option("--reference", help="songs with their stems, separated before", metavar="FOLDER"),
]
Estimate = Annotated[
    Path | None,
    typer.Option(
        "--estimate", help="what was made of them, as `separate` writes it", metavar="FOLDER"
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="write every score to this file", metavar="FILE")
]
PlotFile = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        help="with --live: draw SDR against delay to this .svg or .png",
        metavar="FILE",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="settings file in TOML; without one stemstream.toml in the current "
        "folder, which may set only how it sounds",
        metavar="FILE",
    ),
]


@with_settings(EvalSettings, MEANINGLESS)
def evaluate(
    *,
    data: Data = None,
    reference: Reference = None,
    estimate: Estimate = None,
    json_file: JsonFile = None,
    plot: PlotFile = None,
    config: Config = None,
    flags: dict[str, object],
) -> None:
    """Score stems against the true ones: SDR over the whole, the MDX challenge's, BSS Eval v4.

    Either --data, whose songs are separated by --name, or --reference and --estimate, files.
    Songs are folders SONG/{drums,bass,other,vocals}.wav, stem files, or as in MUSDB18. The models
    silence, mixture, mixture/4 and irm are bounds.
    """
    settings = resolve(flags, config=config, kind=EvalSettings).settings
    defaults = {name: EvalSettings.model_fields[name].default for name in MEANINGLESS}
    settings = settings.model_copy(update=defaults)
    _check(data, reference, estimate, plot, live=settings.live)
    if estimate is not None:
        _refuse_idle(flags, JUDGING, "--estimate holds what was separated")
    # imported here, since the engine takes a second that help and wrong flags need not wait for
    from cli.evaluate_run import show_curve, show_scores
    from streamer.evaluation.bounds import BOUNDS

    if settings.model in BOUNDS and not settings.live:
        _refuse_idle(flags, ("model", *JUDGING), f"{settings.model} is no model that separates")
    if settings.live:
        assert data is not None
        show_curve(data, settings, json_file, plot)
    else:
        raise typer.Exit(show_scores(data, reference, estimate, settings, json_file))


def _check(
    data: Path | None,
    reference: Path | None,
    estimate: Path | None,
    plot: Path | None,
    *,
    live: bool,
) -> None:
    if (data is None) == (reference is None and estimate is None):
        raise SettingsError(
            "eval needs songs: either --data FOLDER, or --reference FOLDER and --estimate FOLDER"
        )
    if (reference is None) != (estimate is None):
        raise SettingsError("--reference and --estimate belong together; give both")
    if live and data is None:
        raise SettingsError("--live separates songs again; give --data FOLDER")
    if plot is not None and not live:
        raise SettingsError("--plot draws SDR against delay; give --live too")
    if plot is not None and plot.suffix not in (".svg", ".png"):
        raise SettingsError(f"plot={plot} must end in .svg or .png; try curve.svg")


def _refuse_idle(flags: Mapping[str, object], used: Collection[str], why: str) -> None:
    """Refuse a flag for separating, where nothing is separated."""
    for name, value in flags.items():
        if value is not None and name not in used:
            raise SettingsError(f"{flag(name, value)} is for separating, and {why}; leave it out")
