"""`stemstream demo`: separate a real song with the embedded model, and measure how well."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Annotated

import typer

from streamer.errors import SourceError
from streamer.resolve import resolve


def demo(
    song: Annotated[str | None, typer.Argument(metavar="SONG", help="a song of your own")] = None,
) -> None:
    """Separate six seconds of MUSDB18 (or SONG) with the embedded model, and print a table.

    Where the song is a stem file, its own stems tell the signal-to-distortion ratio (SDR) of ours.
    """
    # imported here, as in `separate`
    from cli.tracks import load_model, separate_shown
    from streamer.files import reference_stems

    path = song or str(_musdb_song())
    settings = resolve({"model": "htdemucs_mini", "overwrite": True}).settings
    bag = load_model(settings)
    with ExitStack() as stack:
        truth = reference_stems(Path(path)) or {}
        for stem in truth.values():
            stack.enter_context(stem)
        separate_shown(path, settings, bag, truth)


def _musdb_song() -> Path:
    """Return the song that the package stempeg carries."""
    try:
        carried = files("stempeg") or []
    except PackageNotFoundError:
        raise SourceError(
            "the demo's song comes with the package stempeg; `pip install stempeg`, or name a song"
        ) from None
    return next(Path(str(file.locate())) for file in carried if file.name.endswith(".stem.mp4"))
