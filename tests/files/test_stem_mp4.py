"""One file of four stems: written, read back by ffprobe, by us, and by stempeg."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from streamer.audio import Samples
from streamer.errors import OutputExistsError, SettingsError, SinkError
from streamer.files import Lossless, StemMp4Sink, open_source, reference_stems

Decode = Callable[..., Samples]
NAMES = ("vocals", "drums", "bass", "other")
FRAMES = 44100 + 123


@pytest.fixture(scope="module")
def stems() -> Samples:
    """Four stems ``(4, frames, channels)``, each a sine of its own."""
    time = np.arange(FRAMES)[None, :, None] / 44100
    pitches = np.array([200, 300, 400, 500])[:, None, None]
    sines = 0.2 * np.sin(2 * np.pi * pitches * time) * np.array([1.0, 0.5])
    return sines.astype(np.float32)


def write(path: Path, stems: Samples, **options: object) -> None:
    with StemMp4Sink(path, 44100, 2, NAMES, **options) as sink:
        for start in range(0, FRAMES, 10_000):
            part = stems[:, start : start + 10_000]
            sink.write(part.sum(axis=0), part)
        sink.commit()


def probe(path: Path) -> list[dict[str, object]]:
    if shutil.which("ffprobe") is None:
        pytest.skip("needs the ffprobe command: apt-get install ffmpeg")
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b""
    return list(json.loads(done.stdout)["streams"])


@pytest.mark.parametrize("bits", [None, 16, 24])
def test_layout_and_sound(
    tmp_path: Path, stems: Samples, decode: Decode, bits: Literal[16, 24] | None
) -> None:
    path = tmp_path / "a song.stem.mp4"
    write(path, stems, lossless=bits and Lossless(bits), tags={"title": "T"})
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    told = probe(path)
    assert [stream["codec_name"] for stream in told] == ["alac" if bits else "aac"] * 5
    defaults = [stream["disposition"]["default"] for stream in told]
    assert defaults == [1, 0, 0, 0, 0]
    assert all(int(stream["duration_ts"]) == FRAMES for stream in told)
    order = [stems.sum(axis=0), *(stems[NAMES.index(n)] for n in ("drums", "bass", "other"))]
    for index, wanted in enumerate([*order, stems[0]]):
        theirs = decode(path, stream=index)
        assert FRAMES <= len(theirs) <= FRAMES + (0 if bits else 1024)
        close = {None: 0.02, 16: 2 / 2**15, 24: 2 / 2**23}[bits]
        # FFmpeg's AAC encoder distorts the first packets of a sine that sets in at once.
        settled = slice(0 if bits else 4096, FRAMES)
        np.testing.assert_allclose(theirs[settled], wanted[settled], rtol=0, atol=close)


def test_reads_back_through_our_own(tmp_path: Path, stems: Samples) -> None:
    path = tmp_path / "a.stem.mp4"
    write(path, stems, lossless=Lossless(24), tags={"title": "T"})
    with open_source(path) as mix:
        whole = np.concatenate(list(mix.blocks()))
        assert mix.tags["title"] == "T"
        assert mix.name == "a.stem"
    references = reference_stems(path)
    assert references is not None
    assert set(references) == set(NAMES)
    total = np.zeros_like(whole)
    for name, source in references.items():
        with source:
            stem = np.concatenate(list(source.blocks(777)))
        np.testing.assert_allclose(stem, stems[NAMES.index(name)], atol=1e-6)
        total += stem
    np.testing.assert_allclose(total, whole, atol=2e-6)


def test_the_stem_box(tmp_path: Path, stems: Samples) -> None:
    path = tmp_path / "a.stem.mp4"
    write(path, stems)
    data = path.read_bytes()
    assert data.index(b"mdat") < data.index(b"moov") < data.index(b"udta") < data.index(b"stem{")
    text, _ = json.JSONDecoder().raw_decode(data[data.index(b"stem{") + 4 :].decode("latin-1"))
    assert [stem["name"] for stem in text["stems"]] == ["drums", "bass", "other", "vocals"]
    assert all(stem["color"].startswith("#") for stem in text["stems"])
    assert set(text["mastering_dsp"]) == {"compressor", "limiter"}
    assert text["version"] == 1


def test_refusals_leave_nothing(tmp_path: Path, stems: Samples, small_disk: Path) -> None:
    with pytest.raises(SettingsError, match=r"format=stem\.mp4 holds drums, bass, other, vocals"):
        StemMp4Sink(tmp_path / "a.stem.mp4", 44100, 2, ("vocals", "no_vocals"))
    noise = np.random.default_rng(0).uniform(-1, 1, (4, FRAMES, 2)).astype(np.float32)
    with pytest.raises(SinkError, match="the disk is full"):
        write(small_disk / "a.stem.mp4", noise, lossless=Lossless(24))
    assert list(small_disk.iterdir()) == []
    path = tmp_path / "b.stem.mp4"
    path.touch()
    with pytest.raises(OutputExistsError):
        write(path, stems)


def test_other_files_are_no_stem_files(tmp_path: Path, ffmpeg: Callable[..., bytes]) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / "a.m4a")
    (tmp_path / "text.mp4").write_text("no")
    for name in ("a.m4a", "text.mp4", "missing.mp4", "a.wav"):
        assert reference_stems(tmp_path / name) is None


def _stempeg_song() -> Path:
    spec = importlib.util.find_spec("stempeg")
    if spec is None or spec.origin is None:
        pytest.skip("needs stempeg: pip install 'stemstream[demo]'")
    return next((Path(spec.origin).parent / "data").glob("*.stem.mp4"))


def test_the_song_that_stempeg_carries(decode: Decode) -> None:
    path = _stempeg_song()
    references = reference_stems(path)
    assert references is not None
    assert list(references) == ["drums", "bass", "other", "vocals"]
    with open_source(path) as source:
        mix = np.concatenate(list(source.blocks()))
    total = np.zeros_like(mix)
    for index, stem in enumerate(references.values()):
        with stem:
            samples = np.concatenate(list(stem.blocks()))
        assert len(samples) == len(mix)
        np.testing.assert_allclose(samples, decode(path, stream=1 + index), atol=1e-4)
        total += samples
    # The mix was mastered, so that the stems' sum is near it; nearest at no shift.
    errors = [np.mean((np.roll(total, shift, axis=0) - mix) ** 2) for shift in (-1, 0, 1)]
    assert np.argmin(errors) == 1
    assert errors[1] < 0.05 * np.mean(mix**2)


def test_stempeg_reads_ours(tmp_path: Path, stems: Samples) -> None:
    _stempeg_song()
    pytest.importorskip("ffmpeg", reason="stempeg needs it: pip install ffmpeg-python")
    stempeg = pytest.importorskip("stempeg", exc_type=RuntimeError)
    path = tmp_path / "a.stem.mp4"
    write(path, stems, lossless=Lossless(16))
    theirs, rate = stempeg.read_stems(str(path))
    assert rate == 44100
    assert theirs.shape == (5, FRAMES, 2)
    np.testing.assert_allclose(theirs[4], stems[0], atol=2 / 2**15)
