"""The guitars of songs of Frets on Fire: alone, played by people, through real amplifiers.

Debian: ``apt install fretsonfire-songs-sectoid fretsonfire-songs-muldjord``. Licences: sectoid's
songs are MIT, muldjord's CC BY-SA 3.0. A guitar is a part of ``other``. The rest of each song is
drums, bass and more in one file, so it is no stem.
"""

from __future__ import annotations

from pathlib import Path

SONGS = Path("/usr/share/games/fretsonfire/data/songs")


def make(folder: Path) -> None:
    """Link the guitar of each song as its ``other``."""
    for guitar in sorted(SONGS.glob("*/*/guitar.ogg")):
        song = folder / f"{guitar.parts[-3]}-{guitar.parts[-2]}".replace(" ", "-")
        song.mkdir(parents=True, exist_ok=True)
        link = song / "other.ogg"
        if not link.exists():
            link.symlink_to(guitar)
