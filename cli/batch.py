"""`stemstream batch`: a library of songs into stems, in as many runs as it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import with_settings
from cli.separate import Config
from streamer.resolve import resolve
from streamer.settings import Settings

_PANEL = "Batch"


@with_settings(Settings, ("resume",))
def batch(
    *,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="songs, folders with songs below them, patterns, or lists (.csv, .jsonl)",
            show_default=False,
        ),
    ] = None,
    config: Config = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            metavar="N",
            help="songs at a time, each in a process of its own; by default as many as processors "
            "and memory allow",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="where the job's table is kept [default: OUT/.job]",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    keep_folders: Annotated[
        bool,
        typer.Option(
            "--keep-folders",
            help="lay the stems out in folders as the songs are",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="try the songs again that failed", rich_help_panel=_PANEL
        ),
    ] = False,
    status: Annotated[
        bool,
        typer.Option(
            "--status", help="show how far the job is; start nothing", rich_help_panel=_PANEL
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="count songs, hours and disk; start nothing", rich_help_panel=_PANEL
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="print a line of JSON for each song, and one at the end", metavar=""
        ),
    ] = False,
    flags: dict[str, object],
) -> None:
    """Separate many songs. Run it again and it goes on: what is done is not done again.

    Many parameters: each is a flag.
    """
    settings = resolve(flags, config=config).settings
    # imported here, since the engine takes a second that help and wrong flags need not wait for
    from cli import batch_run

    folder = settings.out / ".job" if job is None else job
    if status:
        raise typer.Exit(batch_run.show_status(folder, as_json=as_json))
    wish = batch_run.Wish(
        tuple(inputs or ()), settings, folder, workers, keep_folders, retry_failed, as_json
    )
    raise typer.Exit(batch_run.estimate_batch(wish) if dry_run else batch_run.run_batch(wish))
