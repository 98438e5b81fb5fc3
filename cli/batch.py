"""`stemstream batch`: a library of songs into stems, in as many runs as it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import with_settings
from cli.separate import Config
from streamer.batch.settings import PANEL, BatchSettings
from streamer.errors import SettingsError
from streamer.naming import is_address
from streamer.resolve import resolve


def _flag(name: str, **rules: Any) -> Any:
    return typer.Option(name, rich_help_panel=PANEL, metavar="", **rules)


_Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help="songs, folders with songs below them, patterns, or lists (.csv, .jsonl); also in "
        "object stores (s3://bucket/key)",
        show_default=False,
    ),
]
_Status = Annotated[bool, _flag("--status", help="show how far the job is; start nothing")]
_DryRun = Annotated[bool, _flag("--dry-run", help="count songs, hours and disk; start nothing")]
_JSON = "print a line of JSON for each song, and one at the end"
_Json = Annotated[bool, _flag("--json", help=_JSON)]


@with_settings(BatchSettings, ("resume",))
def batch(
    *,
    inputs: _Inputs = None,
    config: Config = None,
    status: _Status = False,
    dry_run: _DryRun = False,
    as_json: _Json = False,
    flags: dict[str, object],
) -> None:
    """Separate many songs. Run it again and it goes on: what is done is not done again."""
    out = address_of(flags)
    settings = resolve(flags, config=config, kind=BatchSettings).settings
    # imported here, since the engine takes a second that help and wrong flags need not wait for
    from cli import batch_run

    folder = job_folder(settings, out)
    if status:
        raise typer.Exit(batch_run.show_status(folder, as_json=as_json))
    wish = batch_run.Wish(tuple(inputs or ()), settings, folder, out or str(settings.out), as_json)
    raise typer.Exit(batch_run.estimate_batch(wish) if dry_run else batch_run.run_batch(wish))


def address_of(flags: dict[str, object]) -> str | None:
    """Take the address of a store from ``--out``, if it is one: the settings know folders alone."""
    out = flags.get("out")
    if not isinstance(out, str) or not is_address(out):
        return None
    flags["out"] = None
    return out.rstrip("/")


def job_folder(settings: BatchSettings, address: str | None) -> Path:
    """Return where the job's table is kept: on this machine, always.

    Raises:
        SettingsError: the stems go to a store, and no folder is named.
    """
    if settings.job is None and address is not None:
        raise SettingsError(
            "--out is in a store, and the job's table cannot be; name a folder for it with --job"
        )
    return settings.out / ".job" if settings.job is None else settings.job
