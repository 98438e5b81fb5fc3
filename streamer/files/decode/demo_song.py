"""Six seconds of MUSDB18 with true stems: the song that the package stempeg carries."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from streamer.errors import SourceError


def demo_song() -> Path:
    """Return the path of the song.

    Raises:
        SourceError: stempeg is not installed.
    """
    carrier = find_spec("stempeg")  # it is not imported: that needs FFmpeg
    if carrier is None or carrier.origin is None:
        raise SourceError(
            "the demo's song comes with the package stempeg; "
            "`pip install 'stemstream[demo]'`, or name a song"
        )
    return next(Path(carrier.origin).parent.rglob("*.stem.mp4"))
