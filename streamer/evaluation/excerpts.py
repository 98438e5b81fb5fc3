"""The parts of a data set that are scored: stretches of songs, read one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamer.audio import Samples
from streamer.errors import SettingsError
from streamer.evaluation.settings import EvalSettings
from streamer.evaluation.songs import Song, find_songs


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A stretch of a song: ``references`` ``(stems, frames, 2)`` of all stems, and ``mixture``.

    All are at the song's own sample rate, from its ``start_frame`` on. ``before`` and ``after`` are
    the parts of the mixture that a model hears around it, ``(frames, 2)``.
    """

    song: Song
    start_frame: int
    references: Samples
    mixture: Samples
    before: Samples
    after: Samples

    @property
    def frames(self) -> int:
        """Its length in frames."""
        return len(self.mixture)


def choose_songs(folder: Path, stems: Sequence[str], settings: EvalSettings) -> list[Song]:
    """Return the songs to score: of a data set with splits those of ``test``.

    A song that has none of the stems that are to be scored is left out.

    Raises:
        SourceError: there is none, or one cannot be read.
        SettingsError: no song has one of the stems that are to be scored.
    """
    songs = find_songs(folder, stems)
    songs = [song for song in songs if song.split == "test"] or songs
    scored = settings.stems or stems
    for index, stem in enumerate(stems):
        if stem in scored and not any(song.recordings[index] for song in songs):
            raise SettingsError(
                f"no song in {folder} has the stem {stem!r}, which the model makes; try another "
                "model, or other songs"
            )
    there = [index for index, stem in enumerate(stems) if stem in scored]
    songs = [song for song in songs if any(song.recordings[index] for index in there)]
    return songs[: settings.songs]


def read_excerpt(song: Song, seconds: float | None, around_seconds: float = 0.0) -> Excerpt:
    """Read the part of a song that is scored: all of it, or some seconds from its middle.

    In addition up to ``around_seconds`` of the music on either side of it are read.

    Raises:
        SourceError: a file cannot be read.
    """
    frames = song.frames if seconds is None else min(round(seconds * song.samplerate), song.frames)
    start = (song.frames - frames) // 2
    references = song.read(song.samplerate, start, frames)
    around = round(around_seconds * song.samplerate)
    begin, end = max(0, start - around), min(song.frames, start + frames + around)
    heard = song.read_mixture(song.samplerate, begin, end - begin)
    before, mixture, after = np.split(heard, [start - begin, start - begin + frames])
    return Excerpt(song, start, references, mixture, before, after)
