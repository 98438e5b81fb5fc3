"""The songs to learn from, and the songs to judge by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamer.errors import SettingsError
from streamer.evaluation.songs import Song, find_songs
from streamer.train.corpus import Track, decode_songs
from streamer.train.settings import TrainSettings


@dataclass(frozen=True)
class Corpora:
    """Tracks to learn from, with how likely each is, and tracks to judge by."""

    training: tuple[Track, ...]
    chances: tuple[float, ...]
    validation: tuple[Track, ...]
    left_alone: int
    """Songs of a test split, which are never for learning."""

    @property
    def seconds(self) -> float:
        """How much music there is to learn from."""
        return sum(track.frames / track.samplerate for track in self.training)


def gather(
    settings: TrainSettings,
    stems: Sequence[str],
    samplerate: int,
    progress: Callable[[int, int], None] = lambda done, of: None,  # noqa: ARG005
    judges: Sequence[str] = (),
) -> Corpora:
    """Find the songs, hold some out, and decode them all. ``judges`` were held out before.

    Raises:
        SettingsError: the settings name no songs, or too few.
        SourceError: a song cannot be read.
        SinkError: the cache cannot be written.
    """
    if not settings.data:
        raise SettingsError("data= must name a folder of songs with their stems; try --data songs")
    folders: list[list[Song]] = []
    held_out: list[Song] = []
    left_alone = 0
    for number, folder in enumerate(settings.data):
        found = find_songs(folder, stems)
        songs = [song for song in found if song.split != "test"]
        left_alone += len(found) - len(songs)
        if number == 0 and settings.validation is None:
            songs, held_out = hold_out(songs, settings.held_out, judges)
        folders.append(songs)
    if settings.validation is not None:
        held_out = find_songs(settings.validation, stems)
    for folder, songs in zip(settings.data, folders, strict=True):
        if not songs:
            raise SettingsError(
                f"data={folder} must hold more songs, since of those in it none is left to learn "
                "from; add songs, or name those to judge by with --validation"
            )
    training = [song for songs in folders for song in songs]
    tracks = decode_songs([*training, *held_out], samplerate, settings.cache_folder, progress)
    return Corpora(
        tuple(tracks[: len(training)]),
        tuple(chances(settings.mixing, [len(songs) for songs in folders])),
        tuple(tracks[len(training) :]),
        left_alone,
    )


def hold_out(
    songs: Sequence[Song], share: float, judges: Sequence[str] = ()
) -> tuple[list[Song], list[Song]]:
    """Return the songs to learn from, and the songs to judge by: at least one with all stems.

    Those are the ``judges`` if all of them are there. Else their names and their number decide.
    """
    whole = [song for song in songs if all(song.recordings)] or songs
    count = max(1, min(round(share * len(songs)), len(songs) - 1))
    drawn = sorted(whole, key=lambda song: _drawn_by(song))[:count]
    before = [song for song in songs if song.name in judges]
    if judges and len(before) == len(judges):
        drawn = before
    return [song for song in songs if song not in drawn], [song for song in songs if song in drawn]


def _drawn_by(song: Song) -> bytes:
    return hashlib.sha256(os.fsencode(song.name)).digest()


def chances(mixing: Sequence[float] | None, sizes: Sequence[int]) -> list[float]:
    """Return how likely each song is, from the folders' shares and their numbers of songs.

    Raises:
        SettingsError: the number of shares is not the number of folders.
    """
    shares = list(mixing) if mixing is not None else [float(size) for size in sizes]
    if len(shares) != len(sizes) or not sum(shares):
        raise SettingsError(
            f"mixing={','.join(map(str, shares))} must be {len(sizes)} numbers, one for each "
            f"--data, and not all 0; try {','.join(['1'] * len(sizes))}"
        )
    return [
        share / sum(shares) / size
        for share, size in zip(shares, sizes, strict=True)
        for _ in range(size)
    ]
