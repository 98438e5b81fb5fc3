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
from streamer.models.weights.registry import FOUR_STEMS


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


def choose_songs(folder: Path, made: Sequence[str], settings: EvalSettings) -> list[Song]:
    """Return the songs to score stems of, ``settings.stems`` or all ``made``.

    Of a data set with splits these are the songs of ``test``. A song that has none of these stems
    is left out. The songs have all four stems beside those ``made``: all of them are in the mix.

    Raises:
        SourceError: there is none, or one cannot be read.
        SettingsError: no song has one of the stems that are to be scored, or what is in the mix of
            one is not known.
    """
    songs = find_songs(folder, tuple(dict.fromkeys((*FOUR_STEMS, *made))))
    songs = [song for song in songs if song.split == "test"] or songs
    for song in songs:
        _refuse_unknown_mix(song, made)
    there = {
        stem
        for song in songs
        for stem, recordings in zip(song.stems, song.recordings, strict=True)
        if recordings
    }
    scored = settings.stems or tuple(made)
    for stem in scored:
        if stem not in there:
            others = ",".join(other for other in scored if other in there)
            way_out = f"try --stems {others}" if others else "try another model"
            raise SettingsError(
                f"no song in {folder} has the stem {stem!r}, which the model makes; {way_out}, or "
                "other songs"
            )
    return [
        song for song in songs if any(song.recordings[song.stems.index(stem)] for stem in scored)
    ][: settings.songs]


def _refuse_unknown_mix(song: Song, made: Sequence[str]) -> None:
    """Refuse a song without a mixture, of whose stems one may be in another."""
    there = {stem: set(of) for stem, of in zip(song.stems, song.recordings, strict=True) if of}
    known = set().union(*(there[stem] for stem in FOUR_STEMS if stem in there))
    more = [stem for stem, recordings in there.items() if recordings - known]
    beside = [stem for stem in there if stem not in made]
    if song.mixture_recording is None and more and beside:
        raise SettingsError(
            f"{song.path} has {more[0]} beside {beside[0]}, and one may be a part of the other; "
            "put its mixture there, too"
        )


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
