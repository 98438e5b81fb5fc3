"""`stemstream separate`: songs into stems, with the flags of `demucs` and more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cli.options import with_settings
from cli.report import print_json, print_table
from cli.terminal import complain, progress_bar, tell
from streamer.engine import TrackReport, refuse_duplicates, separate_track
from streamer.errors import StemstreamError
from streamer.files import Source
from streamer.models.separator import Bag
from streamer.processor import load_bag
from streamer.settings import Settings, resolve


@with_settings
def separate(
    *,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="audio or video files; - is standard input"),
    ],
    config: Annotated[
        Path | None, typer.Option("--config", help="settings file in TOML", metavar="FILE")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="print what was done as JSON on standard output")
    ] = False,
    verbose: Annotated[  # noqa: ARG001 (cli.main looks for it when an error is told)
        bool, typer.Option("-v", "--verbose", help="show where an unexpected error came from")
    ] = False,
    flags: dict[str, object],
) -> None:
    """Separate songs into stems: OUT/MODEL/TRACK/STEM.wav."""
    settings = resolve(flags, config=config).settings
    bag = load_bag(settings)
    if bag.note:
        tell(bag.note)
    refuse_duplicates(inputs, settings, bag)
    reports, code = [], 0
    try:
        for path in inputs:
            try:
                reports.append(separate_shown(path, settings, bag))
            except StemstreamError as error:
                complain(str(error))
                code = code or error.exit_code
    except KeyboardInterrupt:
        complain("stopped; the tracks finished before are whole, and --resume goes on from them")
        code = 130
    if as_json:
        print_json(reports)
    if code:
        raise typer.Exit(code)


def separate_shown(
    path: str, settings: Settings, bag: Bag, truth: Mapping[str, Source] | None = None
) -> TrackReport:
    """Separate one track with a progress bar, and print its table; see `separate_track`."""
    with progress_bar() as bar:
        task = bar.add_task(Path(path).name)
        report = separate_track(
            path,
            settings,
            bag,
            progress=lambda done, whole: bar.update(task, completed=done, total=whole),
            truth=truth,
        )
    print_table(report)
    return report
