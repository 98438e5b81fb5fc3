"""Six seconds of MUSDB18 with true stems: the song that the package stempeg carries."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from streamer.errors import SourceError


def demo_song() -> Path:
    """Return the path of the song.

    Raises:
        SourceError: stempeg is not installed.
    """
    try:
        carried = files("stempeg") or []
    except PackageNotFoundError:
        raise SourceError(
            "the demo's song comes with the package stempeg; `pip install stempeg`, or name a song"
        ) from None
    return next(Path(str(file.locate())) for file in carried if file.name.endswith(".stem.mp4"))
