"""`stemstream demo`: separate a real song with the embedded model, and measure how well."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from streamer.resolve import resolve


def demo(
    song: Annotated[str | None, typer.Argument(metavar="SONG", help="a song of your own")] = None,
) -> None:
    """Separate six seconds of MUSDB18 (or SONG) with the embedded model, and print a table.

    Where the song is a stem file, its own stems tell the signal-to-distortion ratio (SDR) of ours.
    """
    # its own stems may be made again and again; those of a song of the user's stay
    again = "overwrite" if song is None else "resume"
    settings = resolve({"model": "mini_duo", again: True}).settings
    # imported here, as in `separate`
    from cli.loading import load_model

    bag = load_model(settings, ahead=song is None)
    from cli.garbage import collect_garbage
    from cli.tracks import separate_shown
    from streamer.files import demo_song, reference_stems

    collect_garbage()
    path = song or str(demo_song())
    with ExitStack() as stack:
        truth = reference_stems(Path(path)) or {}
        for stem in truth.values():
            stack.enter_context(stem)
        separate_shown(path, settings, bag, truth)
