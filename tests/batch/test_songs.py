"""What a job's words name: files, folders, patterns and lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.batch.places import Folder
from streamer.batch.songs import find_songs
from streamer.errors import SettingsError


@pytest.fixture
def library(tmp_path, monkeypatch) -> Path:
    for name in ("one.wav", "b/two.FLAC", "b/c/three.mp3", "b/cover.jpg", ".hidden.wav"):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*words: str) -> list[str]:
    return [Path(song.source).as_posix() for song in find_songs(words)]


def test_a_folder_gives_all_songs_below_it_and_where_they_lie(library):
    songs = find_songs(["music"])
    assert [(Path(song.source).name, song.folder.as_posix()) for song in songs] == [
        ("three.mp3", "b/c"),
        ("two.FLAC", "b"),
        ("one.wav", "."),
    ]


def test_a_pattern_and_a_file_give_each_song_once(library):
    assert names("music/one.wav", "music/**/*.*", str(library / "music/one.wav")) == [
        "music/one.wav",
        "music/b/c/three.mp3",
        "music/b/two.FLAC",
    ]


def test_a_file_may_be_called_anything_and_need_not_be_there(library):
    assert names("music/b/cover.jpg", "gone.wav") == ["music/b/cover.jpg", "gone.wav"]


def test_what_cannot_be_looked_at_fails_alone(library):
    circle = library / "circle.wav"
    circle.symlink_to(circle)
    long = "x" * 300 + ".wav"
    assert names("music/one.wav", "circle.wav", long) == ["music/one.wav", "circle.wav", long]
    assert not Folder(library / "out").holds(str(circle))


def test_lists_in_csv_and_json_lines_begin_at_their_folder(library):
    (library / "music/all.csv").write_text("title,path\nOne,one.wav\nTwo,b/two.FLAC\n")
    (library / "all.jsonl").write_text('{"path": "music/b/c/three.mp3"}\n\n')
    found = ["music/one.wav", "music/b/two.FLAC", "music/b/c/three.mp3"]
    assert names("music/all.csv", "all.jsonl") == found


def test_only_a_line_end_ends_a_line_of_a_list(library):
    (library / "a.jsonl").write_text('{"path": "one.wav", "title": "line\u2028sep"}\n', "utf-8")
    (library / "a.csv").write_text("path\ngood\x85.flac\n", "utf-8")
    assert names("a.jsonl", "a.csv") == ["one.wav", "good\x85.flac"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "title\nOne\n"),
        ("a.csv", "path\n\nx.wav\0\n"),
        ("a.jsonl", "[1, 2]\n"),
        ("a.jsonl", '{"path": 5}\n'),
        ("a.jsonl", "{"),
        ("a.jsonl", "[" * 100_000),
        ("a.csv", ""),
        ("nothing*", None),
        ("empty", None),
    ],
)
def test_what_names_no_song_is_one_sentence(library, name, text):
    (library / "empty").mkdir()
    if text is not None:
        (library / name).write_text(text)
    with pytest.raises(SettingsError):
        find_songs([name])
