"""`stemstream batch`: a library of songs into stems, in as many runs as it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli.options import with_settings
from cli.separate import Config
from streamer.resolve import resolve
from streamer.settings import Settings


def _flag(*names: str, **rules: Any) -> Any:
    return typer.Option(*names, rich_help_panel="Batch", **rules)


_Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help="songs, folders with songs below them, patterns, or lists (.csv, .jsonl)",
        show_default=False,
    ),
]
_MOST_WORKERS = 1024
_WORKERS = (
    "songs at a time, each in a process of its own; by default as many as processors and memory "
    "allow"
)
_Workers = Annotated[int | None, _flag(min=1, max=_MOST_WORKERS, metavar="N", help=_WORKERS)]
_Engine = Annotated[
    Literal["local", "ray"],
    _flag("--engine", help="who does it: processes of this machine, or a Ray cluster"),
]
_ADDRESS = "the Ray cluster's, such as auto or ray://head:10001; without one it starts here"
_Address = Annotated[str | None, _flag("--address", metavar="ADDRESS", help=_ADDRESS)]
_KEEP = "lay the stems out in folders as the songs are"
_Job = Annotated[
    Path | None, _flag(metavar="FOLDER", help="where the job's table is kept [default: OUT/.job]")
]
_Keep = Annotated[bool, _flag("--keep-folders", help=_KEEP, metavar="")]
_Retry = Annotated[
    bool, _flag("--retry-failed", help="try the songs again that failed", metavar="")
]
_Status = Annotated[
    bool, _flag("--status", help="show how far the job is; start nothing", metavar="")
]
_DryRun = Annotated[
    bool, _flag("--dry-run", help="count songs, hours and disk; start nothing", metavar="")
]
_Json = Annotated[
    bool, _flag("--json", help="print a line of JSON for each song, and one at the end", metavar="")
]


@with_settings(Settings, ("resume",))
def batch(
    *,
    inputs: _Inputs = None,
    config: Config = None,
    engine: _Engine = "local",
    workers: _Workers = None,
    address: _Address = None,
    job: _Job = None,
    keep_folders: _Keep = False,
    retry_failed: _Retry = False,
    status: _Status = False,
    dry_run: _DryRun = False,
    as_json: _Json = False,
    flags: dict[str, object],
) -> None:
    """Separate many songs. Run it again and it goes on: what is done is not done again."""
    settings = resolve(flags, config=config).settings
    # imported here, since the engine takes a second that help and wrong flags need not wait for
    from cli import batch_run

    folder = settings.out / ".job" if job is None else job
    if status:
        raise typer.Exit(batch_run.show_status(folder, as_json=as_json))
    wish = batch_run.Wish(
        inputs=tuple(inputs or ()),
        settings=settings,
        folder=folder,
        engine=engine,
        workers=workers,
        address=address,
        keep_folders=keep_folders,
        retry_failed=retry_failed,
        as_json=as_json,
    )
    raise typer.Exit(batch_run.estimate_batch(wish) if dry_run else batch_run.run_batch(wish))
