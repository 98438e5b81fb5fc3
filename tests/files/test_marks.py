"""Places that songs name, and their tempo."""

from __future__ import annotations

import struct

import pytest
import soundfile
from support.doubles import noise

from streamer.files import open_source
from streamer.files.marks import MOST_MARKS, Mark, cue_points, tempo_of

CHAPTERS = """;FFMETADATA1
[CHAPTER]
TIMEBASE=1/1000
START=0
END=250
title=Verse
[CHAPTER]
TIMEBASE=1/1000
START=250
END=900
title=Chorus
"""


def chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def cue(*frames: int) -> bytes:
    points = (
        struct.pack("<II4sIII", number, frame, b"data", 0, 0, frame)
        for number, frame in enumerate(frames)
    )
    return struct.pack("<I", len(frames)) + b"".join(points)


def label(number: int, name: bytes) -> bytes:
    return chunk(b"labl", struct.pack("<I", number) + name + b"\0")


def test_cue_points_of_a_wav_come_with_their_names_in_order(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(9000), 8000, subtype="PCM_16")
    labels = chunk(b"LIST", b"adtl" + label(1, b"Intro") + label(0, "Größe".encode()))
    data = path.read_bytes() + chunk(b"cue ", cue(4000, 800)) + labels
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    with open_source(path) as source:
        assert source.marks() == [Mark(0.1, "Intro"), Mark(0.5, "Größe")]
        assert sum(map(len, source.blocks())) == 9000


def test_cue_points_behind_the_sound_of_an_rf64_are_found(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(9000), 8000, format="RF64", subtype="PCM_16")
    data = bytearray(path.read_bytes())
    assert data[:4] == b"RF64"
    place = data.index(b"data") + 4
    data[place : place + 4] = b"\xff" * 4
    path.write_bytes(data + chunk(b"cue ", cue(4000)))
    with open_source(path) as source:
        assert [mark.seconds for mark in source.marks()] == [0.5]
        assert sum(map(len, source.blocks())) == 9000


@pytest.mark.parametrize("kind", ["m4a", "mka", "mp3"])
def test_chapters_are_marks(tmp_path, ffmpeg, kind):
    soundfile.write(tmp_path / "a.wav", noise(9000), 8000)
    (tmp_path / "told.txt").write_text(CHAPTERS)
    made = tmp_path / f"a.{kind}"
    ffmpeg("-i", tmp_path / "a.wav", "-i", tmp_path / "told.txt", "-map_chapters", "1", made)
    with open_source(made) as source:
        assert source.marks() == [Mark(0.0, "Verse"), Mark(0.25, "Chorus")]


def test_damaged_cue_points_are_left_out():
    assert cue_points([(b"cue ", b""), (b"LIST", b"adtl"), (b"LIST", b"INFO")], 8000) == []
    assert cue_points([(b"cue ", cue(1)[:-1])], 8000) == []
    endless = (b"LIST", b"adtl" + b"labl" + b"\xff" * 9)
    assert cue_points([endless, (b"cue ", cue(800))], 8000) == [Mark(0.1)]
    assert len(cue_points([(b"cue ", cue(*range(3 * MOST_MARKS)))], 8000)) == MOST_MARKS


@pytest.mark.parametrize(
    ("tags", "tempo"),
    [
        ({"bpm": "128"}, 128.0),
        ({"bpm": " 93,75 BPM"}, 93.75),
        ({"tempo": "174.00"}, 174.0),
        ({"bpm": "fast", "tbpm": "140"}, 140.0),
        ({"bpm": "0"}, None),
        ({"bpm": "99999999"}, None),
        ({"bpm": "inf"}, None),
        ({}, None),
    ],
)
def test_a_tempo_is_what_tags_tell_if_it_can_be_one(tags, tempo):
    assert tempo_of(tags) == tempo
