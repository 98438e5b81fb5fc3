"""Find the estimates of each song in a folder of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamer.errors import SourceError
from streamer.evaluation.songs import UNEQUAL_SECONDS, Song, songs_in


def pair(
    songs: Sequence[Song], folder: Path, stems: Sequence[str], *, alone: bool
) -> dict[str, Song]:
    """Return the estimates of each song, by its name.

    ``folder`` is laid out like a data set, or has a folder with the model's name in it, as
    `stemstream separate` writes. A song that is ``alone`` in its folder and a single estimate
    belong together, whatever their names.

    Raises:
        SourceError: a song or a stem has no estimate, or one of another length or rate.
    """
    estimates = _estimates(folder, stems)
    by_name = {one.name.removesuffix(".stem"): one for one in estimates}  # of song.stem.mp4
    if alone and len(estimates) == 1:
        by_name = {songs[0].name: estimates[0]}
    for song in songs:
        if song.name not in by_name:
            some = ", ".join(sorted(by_name)[:3])
            raise SourceError(
                f"{folder} has no estimate of {song.name}; it has {some} and so on, so separate "
                "that song too, or give --songs"
            )
        _check(song, by_name[song.name])
    return by_name


def _estimates(folder: Path, stems: Sequence[str]) -> list[Song]:
    if songs := songs_in(folder, stems):
        return songs
    models = {
        place: songs
        for place in sorted(folder.iterdir())
        if place.is_dir() and (songs := songs_in(place, stems))
    }
    if len(models) > 1:
        names = ", ".join(place.name for place in models)
        raise SourceError(f"{folder} holds estimates of {names}; name the folder of one of them")
    if not models:
        raise SourceError(
            f"{folder} holds no estimates; they are files as SONG/{{{','.join(stems)}}}.wav, as "
            "`stemstream separate` writes them"
        )
    return next(iter(models.values()))


def _check(song: Song, estimate: Song) -> None:
    for stem, recordings in zip(estimate.stems, estimate.recordings, strict=True):
        if not recordings:
            raise SourceError(
                f"{estimate.path} has no {stem}; separate the song with all stems, or give --stems "
                "those that are there"
            )
    if estimate.samplerate != song.samplerate:
        raise SourceError(
            f"{estimate.path} has {estimate.samplerate} Hz and the song {song.path} "
            f"{song.samplerate} Hz; separate the song as it is"
        )
    if abs(estimate.seconds - song.seconds) > UNEQUAL_SECONDS:
        raise SourceError(
            f"{estimate.path} is {estimate.seconds:.2f} s long and the song {song.path} "
            f"{song.seconds:.2f} s; separate the whole song"
        )
