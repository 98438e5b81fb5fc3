"""What new singers are made of, and what of the album is learnt from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rebuild import WITH_BASS_APART, cc0_songs
from songs.album import SAMPLERATE, write_song
from songs.voices import PIECE_SECONDS, pieces_of, songs_to_learn_from

from streamer.evaluation.songs import find_songs
from streamer.train.corpora import hold_out


def test_singers_are_never_made_of_songs_that_judge(tmp_path: Path) -> None:
    sound = 0.1 * np.ones((64, 2))
    for number in range(20):
        stems = dict.fromkeys(("drums", "bass", "other", "vocals"), sound)
        write_song(tmp_path / "train" / f"song {number}", stems)
    write_song(tmp_path / "test" / "of the test split", {"vocals": sound})
    judging = hold_out([song for song in find_songs(tmp_path) if song.split != "test"], 0.1)[1]
    learning = {song.name for song in songs_to_learn_from(tmp_path)}
    assert len(judging) == 2
    assert learning == {f"song {number}" for number in range(20)} - {one.name for one in judging}


def test_pieces_begin_where_there_is_half_a_piece_or_more(tmp_path: Path) -> None:
    frames = int(2.6 * PIECE_SECONDS * SAMPLERATE)
    write_song(tmp_path / "one", {"vocals": 0.1 * np.ones((frames, 2))})
    starts = [start for _, start in pieces_of(find_songs(tmp_path, ("vocals",)))]
    assert starts == [int(turn * PIECE_SECONDS * SAMPLERATE) for turn in range(3)]


def test_an_other_with_the_bass_inside_is_not_learnt_from(tmp_path: Path) -> None:
    for name in ("caesium", WITH_BASS_APART[0]):
        for stem in ("drums", "bass", "other", "vocals"):
            file = tmp_path / "album" / name / f"{stem}.ogg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    linked = cc0_songs(tmp_path / "album", tmp_path / "songs")
    assert {path.stem for path in (linked / "caesium").iterdir()} == {"drums", "vocals"}
    assert len(list((linked / WITH_BASS_APART[0]).iterdir())) == 4
