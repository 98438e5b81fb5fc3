"""Files whose recorder crashed: their sizes are 0, all ones, or of an earlier moment."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamer.audio import Samples
from streamer.files import open_source

Tone = Callable[..., Samples]
Ffmpeg = Callable[..., bytes]
FRAMES = 20_000
EARLIER = 10_000
BLOCK_BYTES = 4
NO_LENGTH = "song states no length, as after a crash of its recorder or from a pipe; it is read"
LONGER = "song is longer than it states, as after a crash of its recorder; it is read to its end"


def read(path: Path) -> tuple[Samples, list[str], list[str]]:
    with open_source(path) as source:
        blocks = list(source.blocks(4096))
        audio = np.concatenate([np.zeros((0, source.channels), np.float32), *blocks])
        assert source.frames in (None, len(audio))
        return audio, list(source.notes), source.losses


def with_size(kind: str, data: bytes, size: int) -> bytes:
    """The file as it would be had its recorder last written that many bytes of sound.

    Minus one: all ones, which means that the length is not known.
    """

    def u32(order: str, extra: int = 0) -> bytes:
        return struct.pack(f"{order}I", 0xFFFFFFFF if size < 0 else size and size + extra)

    def u64(order: str, extra: int = 0) -> bytes:
        return struct.pack(f"{order}Q", 2**64 - 1 if size < 0 else size and size + extra)

    frames = max(size, 0) // BLOCK_BYTES
    body = data.find(b"data") + 4
    match kind:
        case "WAV":
            edits = {4: u32("<", 36), body: u32("<")}
        case "RF64":
            edits = {20: u64("<", 36), 28: u64("<"), 36: u64("<")[:8]}
        case "W64":
            edits = {16: u64("<", 104), body + 12: u64("<", 24)}
        case "AIFF":
            comm, sound = data.find(b"COMM"), data.find(b"SSND")
            edits = {4: u32(">", 46), comm + 10: struct.pack(">I", frames)}
            edits[sound + 4] = u32(">", 8)
        case "CAF":
            edits = {body: u64(">", 4)}
        case _:
            edits = {8: u32(">")}
    changed = bytearray(data)
    for at, new in edits.items():
        changed[at : at + len(new)] = new
    return bytes(changed)


@pytest.mark.parametrize("size", [0, -1, EARLIER * BLOCK_BYTES])
@pytest.mark.parametrize("kind", ["WAV", "RF64", "W64", "AIFF", "CAF", "AU"])
def test_a_file_whose_recorder_crashed_is_read_to_its_end(
    tmp_path: Path, tone: Tone, kind: str, size: int
) -> None:
    path = tmp_path / "song"
    soundfile.write(path, tone(FRAMES), 44100, format=kind, subtype="PCM_16")
    whole, notes, _ = read(path)
    assert len(whole) == FRAMES
    assert notes == []
    path.write_bytes(with_size(kind, path.read_bytes(), size))
    audio, notes, losses = read(path)
    np.testing.assert_array_equal(audio, whole)
    assert losses == []
    assert len(notes) == 1
    assert notes[0].startswith(LONGER if size > 0 else NO_LENGTH)
    with open_source(path) as source:
        source.seek(EARLIER)
        np.testing.assert_array_equal(np.concatenate(list(source.blocks())), whole[EARLIER:])


def test_a_crashed_recording_that_ffmpeg_reads(tmp_path: Path, tone: Tone, ffmpeg: Ffmpeg) -> None:
    """64-bit samples are not for libsndfile."""
    soundfile.write(tmp_path / "a.wav", tone(FRAMES), 44100)
    ffmpeg("-i", tmp_path / "a.wav", "-c:a", "pcm_s64le", tmp_path / "song.wav")
    data = (tmp_path / "song.wav").read_bytes()
    (tmp_path / "song").write_bytes(with_size("WAV", data, EARLIER * 16))
    audio, notes, _ = read(tmp_path / "song")
    assert len(audio) == FRAMES
    assert notes == [LONGER]


@pytest.mark.parametrize(
    "rest",
    [
        b"LIST" + struct.pack("<I", 2000) + b"INFOINAM" + bytes(1992),
        b"abcd" + struct.pack("<I", 4000) + b"\1" * 4000,
        b"LIST\xff\xff\xff\xffINFO" + b"\1" * 3000,
        b"TAG" + b"title" * 500,
        b"ID3\4\0\0" + b"title" * 500,
        b"APETAGEX" + b"title" * 500,
        bytes(5000),
        b"\1\2\3" * 100,
    ],
    ids=["LIST", "chunk", "LIST of a wrong size", "ID3v1", "ID3v2", "APE", "zeros", "a few bytes"],
)
def test_what_stands_behind_the_sound_is_not_read_as_sound(
    tmp_path: Path, tone: Tone, rest: bytes
) -> None:
    path = tmp_path / "song"
    soundfile.write(path, tone(FRAMES), 44100, format="WAV", subtype="PCM_16")
    path.write_bytes(path.read_bytes() + rest)
    audio, notes, losses = read(path)
    assert len(audio) == FRAMES
    assert notes == losses == []


def test_a_file_without_sound_stays_empty(tmp_path: Path, tone: Tone) -> None:
    path = tmp_path / "song"
    for kind in ("WAV", "W64", "AIFF", "CAF", "AU"):
        soundfile.write(path, tone(0), 44100, format=kind, subtype="PCM_16")
        assert read(path)[0].shape == (0, 2), kind
        assert read(path)[1] == [], kind
    soundfile.write(path, tone(0), 44100, format="WAV", subtype="PCM_16")
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
    assert read(path)[0].shape == (0, 2)
    assert read(path)[1] == []


@pytest.mark.parametrize("size", [0, -1])
def test_a_crashed_recording_of_more_than_4_gib_is_read_to_its_end(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "song"
    soundfile.write(path, np.zeros((4, 2)), 44100, format="WAV", subtype="PCM_16")
    data = with_size("WAV", path.read_bytes(), size)
    with path.open("wb") as file:
        file.write(data)
        file.truncate(44 + 5 * 2**30)
    with open_source(path) as source:
        assert source.notes[0].startswith(NO_LENGTH)
        assert source.seconds == pytest.approx(5 * 2**30 / BLOCK_BYTES / 44100, rel=1e-6)


@pytest.mark.parametrize(("kind", "order", "extra"), [("WAV", "<", 0), ("AIFF", ">", 8)])
def test_a_whole_file_of_more_than_2_gib_is_no_crashed_one(
    tmp_path: Path, kind: str, order: str, extra: int
) -> None:
    path, frames = tmp_path / "song", 2**29
    soundfile.write(path, np.zeros((0, 2)), 44100, format=kind, subtype="PCM_16")
    head, size = bytearray(path.read_bytes()), frames * BLOCK_BYTES
    stated = {4: len(head) + size + 4, len(head) - extra - 4: size + extra}
    if kind == "AIFF":
        stated[head.index(b"COMM") + 10] = frames
    for place, number in stated.items():
        head[place : place + 4] = struct.pack(f"{order}I", number)
    with path.open("wb") as file:
        file.write(head)
        file.seek(len(head) + size)
        file.write(b"LIST" + struct.pack(f"{order}I", 4) + b"INFO")
    with open_source(path) as source:
        assert source.notes == ()
        assert source.frames == frames


def test_24_bits_of_alac_in_a_caf_are_24_bits(tmp_path: Path, tone: Tone) -> None:
    path = tmp_path / "song.caf"
    soundfile.write(path, tone(FRAMES), 44100, format="CAF", subtype="ALAC_24")
    with open_source(path) as source:
        assert source.sample_format == "int24"
