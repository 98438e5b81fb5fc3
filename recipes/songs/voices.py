"""The voices that new singers are made of; never those of songs that judge a model."""

from __future__ import annotations

from pathlib import Path

from songs.album import SAMPLERATE

from streamer.evaluation.songs import Song, find_songs
from streamer.train.corpora import hold_out

HELD_OUT = 0.1
"""The share of the first data set that `stemstream train` holds out, unless told otherwise."""
PIECE_SECONDS = 7.0
VOCALS = ("vocals",)


def songs_to_learn_from(musdb: Path) -> list[Song]:
    """Return the songs of a data set that neither its test split nor `stemstream train` judges by.

    They have one stem, the vocals.
    """
    songs = [song for song in find_songs(musdb) if song.split != "test"]
    names = {song.name for song in hold_out(songs, HELD_OUT)[0]}
    return [song for song in find_songs(musdb, VOCALS) if song.name in names]


def pieces_of(songs: list[Song]) -> list[tuple[Song, int]]:
    """Return songs with the frames at which their pieces begin."""
    step = int(PIECE_SECONDS * SAMPLERATE)
    return [
        (song, start)
        for song in songs
        for start in range(0, max(1, song.frames_at(SAMPLERATE) - step // 2), step)
    ]
