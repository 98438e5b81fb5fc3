"""What a project holds, whatever opens it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from streamer.files.marks import Mark

COLOURS: Final = {
    "vocals": 0xE4729B,
    "drums": 0xE79A3C,
    "bass": 0x5D96F0,
    "other": 0x45B8A0,
    "guitar": 0xB084EE,
    "piano": 0xB9C04A,
}
"""The stems' colours, as on the page of a live run."""
OTHER_COLOURS: Final = (0xD98A6A, 0x8FA3B8)
"""Those of all other stems: each has the one that its name gives on that page."""


@dataclass(frozen=True, slots=True)
class ProjectTrack:
    """A track with one stem. ``file`` is as seen from the project's own folder."""

    name: str
    file: PurePath

    @property
    def colour(self) -> int:
        """Its colour, red, green and blue in 24 bits."""
        return COLOURS.get(self.name, OTHER_COLOURS[sum(map(ord, self.name)) % 2])


@dataclass(frozen=True, slots=True)
class Project:
    """Tracks that begin together, with files of ``frames`` frames.

    ``gain`` is the factor that all files have got so that none clips. The tracks' faders make up
    for it. ``tempo`` is in beats per minute, None where it is not known.
    """

    tracks: Sequence[ProjectTrack]
    samplerate: int
    channels: int
    frames: int = 0
    gain: float = 1.0
    tempo: float | None = None
    marks: Sequence[Mark] = ()

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames / self.samplerate
