"""Files of several audio streams: which of them is read, and that it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamer.audio import Samples
from streamer.errors import SourceError
from streamer.files import Lossless, StemMp4Sink, open_source

Ffmpeg = Callable[..., bytes]
Decode = Callable[..., Samples]
Tone = Callable[..., Samples]
FRAMES = 8000


@pytest.fixture
def film(tmp_path: Path, ffmpeg: Ffmpeg, tone: Tone) -> Callable[..., Path]:
    """Three languages, stream n silent but for a constant of n tenths, in a container."""

    def make(name: str, default: int | None) -> Path:
        inputs: list[str | Path] = []
        maps: list[str] = []
        for index in range(3):
            path = tmp_path / f"{index}.wav"
            soundfile.write(path, np.full((FRAMES, 2), (index + 1) / 10, np.float32), 44100)
            inputs += ["-i", path]
            chosen = "default" if index == default else "0"
            maps += ["-map", f"{index}:a", f"-disposition:a:{index}", chosen]
        codec = "alac" if name.endswith("m4a") else "flac"
        mode = ["-default_mode", "passthrough"] if name.endswith("mka") else []
        ffmpeg(*inputs, *maps, *mode, "-c:a", codec, tmp_path / name)
        return tmp_path / name

    return make


def level(path: Path, stream: int | None = None) -> tuple[float, list[str]]:
    with open_source(path, stream) as source:
        audio = np.concatenate(list(source.blocks()))
        source.reopen()
        np.testing.assert_array_equal(np.concatenate(list(source.blocks())), audio)
        return round(float(audio.mean()), 2), list(source.notes)


@pytest.mark.parametrize("name", ["film.mka", "film.m4a"])
@pytest.mark.parametrize("default", [0, 1, 2])
def test_the_default_stream_is_read_and_told(
    film: Callable[..., Path], name: str, default: int
) -> None:
    path = film(name, default)
    heard, notes = level(path)
    assert heard == (default + 1) / 10
    assert notes == [
        f"{name} has 3 streams of audio; number {default + 1}, the default one, is read, and "
        "--stream takes another"
    ]


def test_a_given_stream_is_read_and_told(film: Callable[..., Path]) -> None:
    path = film("film.mka", 1)
    for stream in range(3):
        heard, notes = level(path, stream)
        assert heard == (stream + 1) / 10
        assert f"number {stream + 1}, the given one, is read" in notes[0]


def test_without_a_default_the_first_stream_is_read(film: Callable[..., Path]) -> None:
    heard, notes = level(film("film.mka", None))
    assert heard == 0.1
    assert "number 1, the first one, is read" in notes[0]


def test_a_stream_that_is_not_there_is_one_sentence(
    film: Callable[..., Path], tmp_path: Path
) -> None:
    path = film("film.mka", 1)
    with pytest.raises(SourceError, match=r"stream=4 is not in film.mka, which has 3 of audio"):
        open_source(path, 3)
    with pytest.raises(SourceError, match=r"stream=2 is not in 0.wav, which has 1 of audio"):
        open_source(tmp_path / "0.wav", 1)
    assert level(tmp_path / "0.wav", 0) == (0.1, [])


def test_the_mix_of_a_stem_file_is_read_without_a_word(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    """Also where another stream is the default, as some programs leave it."""
    path = tmp_path / "a.stem.mp4"
    mix = np.full((FRAMES, 2), 0.8, np.float32)
    stems = np.stack([mix * share for share in (0.1, 0.2, 0.3, 0.4)])
    names = ["drums", "bass", "other", "vocals"]
    with StemMp4Sink(path, 44100, 2, names, lossless=Lossless(16)) as sink:
        sink.write(mix, stems)
        sink.commit()
    assert level(path) == (0.8, [])
    assert level(path, 1) == (0.08, [])
    other = tmp_path / "b.stem.mp4"
    words = ["-map", "0", "-c", "copy", "-disposition:a:0", "0", "-disposition:a:3", "default"]
    ffmpeg("-i", path, *words, other)
    assert level(other) == (0.8, [])
    four = tmp_path / "four.stem.mp4"
    ffmpeg(
        "-i", path, *(word for n in range(1, 5) for word in ("-map", f"0:{n}")), "-c", "copy", four
    )
    with pytest.raises(SourceError, match=r"four.stem.mp4 holds stems and no mix.* stream=1 to 4"):
        open_source(four)
    assert level(four, 1)[0] == 0.16
