"""File sinks: round trips through FFmpeg's command, sizes, sample rates, tags."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamer.audio import Samples
from streamer.engine import separate_track
from streamer.errors import SettingsError
from streamer.files import Encoding, FileSink, open_source
from streamer.files.encode.wav import PcmCoder, WavWriter, wav_header
from streamer.files.tags import from_container
from streamer.processor import load_bag
from streamer.settings import Settings

Ffmpeg = Callable[..., bytes]
Decode = Callable[..., Samples]
Tone = Callable[..., Samples]
FRAMES = 44100 + 123
TAGS = {
    "title": "Für Elise – 乐",
    "artist": "A; B",
    "album": "Album",
    "date": "1999",
    "genre": "Jazz",
    "tracknumber": "3/9",
    "composer": "C. Poser",
    "comment": "live, from the desk",
}


def write(path: Path, samples: Samples, encoding: Encoding, rate: int = 44100) -> str | None:
    with FileSink(path, rate, samples.shape[1], encoding, tags=TAGS) as sink:
        for start in range(0, len(samples), 9999):
            sink.write(samples[start : start + 9999])
        sink.commit()
    return sink.note


@pytest.mark.parametrize("frames", [0, 1, FRAMES])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sample_format", ["int16", "int24", "float32"])
@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_lossless_round_trip(
    tmp_path: Path,
    tone: Tone,
    decode: Decode,
    kind: str,
    sample_format: str,
    channels: int,
    frames: int,
) -> None:
    samples = tone(frames, channels)
    encoding = Encoding(kind, sample_format, dither=False)
    path = tmp_path / f"a.{encoding.extension}"
    assert write(path, samples, encoding) is None
    bits = 16 if sample_format == "int16" else 24
    step = 0.0 if (kind, sample_format) == ("wav", "float32") else 0.5 / 2 ** (bits - 1)
    if (kind, frames) == ("flac", 0):
        samples = np.zeros((1, channels), np.float32)
    for theirs in (decode(path, channels), soundfile.read(path, always_2d=True)[0]):
        assert theirs.shape == samples.shape
        np.testing.assert_allclose(theirs, samples, rtol=0, atol=step * 1.001)
    assert soundfile.info(path).subtype == ("FLOAT" if step == 0 else f"PCM_{bits}")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_int16_passes_undithered_to_the_bit(tmp_path: Path, kind: str) -> None:
    every = np.arange(-(2**15), 2**15, dtype=np.int16)[:, None]
    soundfile.write(tmp_path / "in.wav", every, 44100)
    path = tmp_path / f"out.{kind}"
    with (
        open_source(tmp_path / "in.wav") as source,
        FileSink(path, 44100, 1, Encoding(kind, dither=False)) as sink,
    ):
        for block in source.blocks(1000):
            sink.write(block)
        sink.commit()
    np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], every[:, 0])


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_blocks_do_not_change_the_file(tmp_path: Path, tone: Tone, kind: str) -> None:
    samples, written = tone(30_000), []
    for step in (30_000, 777):
        path = tmp_path / str(step) / f"a.{kind}"
        with FileSink(path, 44100, 2, Encoding(kind)) as sink:
            for start in range(0, 30_000, step):
                sink.write(samples[start : start + step])
            sink.commit()
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_stems_do_not_share_their_dither(tmp_path: Path) -> None:
    noises = []
    for name in ("drums.wav", "bass.wav"):
        write(tmp_path / name, np.zeros((5000, 1), np.float32), Encoding())
        noises.append(soundfile.read(tmp_path / name)[0])
    assert abs(np.corrcoef(noises)[0, 1]) < 0.1


def test_stems_in_files_of_one_name_do_not_share_their_dither_either(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", np.zeros((5000, 1)), 44100)
    settings = Settings(model="passthrough", out=tmp_path, filename="{stem}/{track}.{ext}")
    paths = separate_track(tmp_path / "song.wav", settings, load_bag(settings)).paths
    assert len({path.name for path in paths.values()}) == 1
    noises = [soundfile.read(path, always_2d=True)[0][:, 0] for path in paths.values()]
    others = np.corrcoef(noises) - np.eye(len(noises))
    assert np.abs(others).max() < 0.1


@pytest.mark.parametrize(
    ("kind", "rate", "channels", "out_rate"),
    [
        ("mp3", 44100, 2, 44100),
        ("mp3", 96000, 1, 48000),
        ("mp3", 8000, 1, 8000),
        ("mp3", 37800, 2, 44100),
        ("ogg", 44100, 2, 44100),
        ("ogg", 192000, 2, 192000),
        ("opus", 48000, 2, 48000),
        ("opus", 44100, 2, 48000),
        ("opus", 8000, 1, 48000),
        ("m4a", 44100, 2, 44100),
        ("m4a", 192000, 1, 96000),
    ],
)
def test_lossy_round_trip(
    tmp_path: Path, tone: Tone, decode: Decode, kind: str, rate: int, channels: int, out_rate: int
) -> None:
    samples = tone(rate, channels, rate)
    path = tmp_path / f"a.{kind}"
    note = write(path, samples, Encoding(kind), rate)
    theirs = decode(path, channels)
    with open_source(path) as source:
        assert source.samplerate == out_rate
    assert (note is None) == (rate == out_rate)
    if note is not None:
        assert str(out_rate) in note
    # FFmpeg rounds an M4A up to whole packets, whatever length its edit list states.
    spare = 1024 if kind == "m4a" else 1
    assert out_rate <= len(theirs) <= out_rate + spare
    if rate == out_rate:
        error = np.mean((theirs[:rate] - samples) ** 2) / np.mean(samples**2)
        assert 10 * np.log10(error) < -18  # one sample of delay alone would give about -24


@pytest.mark.parametrize("kind", ["mp3", "ogg", "m4a"])
def test_lossy_has_no_delay(tmp_path: Path, decode: Decode, kind: str) -> None:
    click = np.zeros((20_000, 2), np.float32)
    click[9_000:9_100] = np.hanning(100)[:, None]
    write(tmp_path / f"a.{kind}", click, Encoding(kind))
    theirs = decode(tmp_path / f"a.{kind}")[:20_000]
    lags = np.correlate(theirs[8_000:11_000, 0], click[8_500:10_500, 0], "valid")
    assert np.argmax(lags) == 500


@pytest.mark.parametrize("frames", [0, 1, 63])
@pytest.mark.parametrize("kind", ["mp3", "ogg", "opus", "m4a"])
def test_very_short_lossy_files_can_be_read(tmp_path: Path, kind: str, frames: int) -> None:
    path = tmp_path / f"a.{kind}"
    write(path, np.zeros((frames, 2), np.float32), Encoding(kind), 48000)
    with open_source(path) as source:
        assert source.tags["title"] == TAGS["title"]
        assert sum(map(len, source.blocks())) >= frames


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus", "m4a"])
def test_tags_are_carried(tmp_path: Path, tone: Tone, ffmpeg: Ffmpeg, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    # An odd number of bytes of 24 bits: the chunk of tags must begin after the padding.
    write(path, tone(1001, 1), Encoding(kind, "int24"), 48000)
    with open_source(path) as source:
        assert {key: source.tags.get(key) for key in TAGS} == TAGS
    where = "0:s:0" if kind in ("ogg", "opus") else "0"
    theirs = ffmpeg("-i", path, "-map_metadata", where, "-f", "ffmetadata", "-").decode()
    for text in ("Für Elise – 乐", "Album", "1999", "Jazz", "3/9"):
        assert f"={text}\n" in theirs
    if kind == "wav":
        assert soundfile.info(path).frames == 1001


def test_tags_that_do_not_fit_are_dropped(tmp_path: Path, tone: Tone) -> None:
    tags = {"title": "T", "tracknumber": "A1", "nonsense": "x", "website": "https://例え.jp"}
    for kind in ("m4a", "wav", "mp3"):
        path = tmp_path / f"a.{kind}"
        with FileSink(path, 44100, 2, Encoding(kind), tags=tags) as sink:
            sink.write(tone(5000))
            sink.commit()
        with open_source(path) as source:
            assert source.tags["title"] == "T"


@pytest.mark.parametrize("kind", ["wav", "mp3"])
def test_a_date_is_kept_where_it_begins_with_its_year(
    tmp_path: Path, tone: Tone, kind: str
) -> None:
    for given, kept in (
        ("2003-05-12", "2003-05-12"),
        ("12/05/2003", None),
        ("20030512", "20030512"),
    ):
        path = tmp_path / f"a.{kind}"
        tags = {"title": "T", "date": given}
        with FileSink(path, 44100, 2, Encoding(kind), tags=tags, overwrite=True) as sink:
            sink.write(tone(5000))
            sink.commit()
        with open_source(path) as source:
            assert (source.tags["title"], source.tags.get("date")) == ("T", kept)


def test_tags_of_ape_have_the_common_names() -> None:
    told = {"Title": "T", "Year": "1999", "Album Artist": "A", "Track": "3"}
    common = {"title": "T", "date": "1999", "albumartist": "A", "tracknumber": "3"}
    assert from_container(told) == common


def test_riff_info_tags_and_container_tags_are_read(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    for name in ("a.wav", "a.mka", "a.mp3", "a.flac", "a.wv", "a.wma"):
        given_tags = ["-metadata", "title=T", "-metadata", "artist=A", "-metadata", "track=7"]
        ffmpeg("-f", "lavfi", "-i", "sine=duration=1", *given_tags, tmp_path / name)
        with open_source(tmp_path / name) as source:
            assert (source.tags["title"], source.tags["artist"]) == ("T", "A")
            assert source.tags.get("tracknumber") == "7"
            assert not {"encoder", "duration", "software"} & set(source.tags)


def test_rf64_when_the_size_passes_the_limit(tmp_path: Path, tone: Tone, decode: Decode) -> None:
    samples = tone(10_000)
    for limit, head in ((39_999, b"RF64"), (41_000, b"RIFF")):
        path = tmp_path / f"{limit}.wav"
        with path.open("w+b") as file:
            coder = PcmCoder("int16", dither=False, seed=0)
            writer = WavWriter(file, 44100, 2, coder, riff_limit=limit)
            writer.write(samples)
            writer.close()
        assert path.read_bytes()[:4] == head
        assert soundfile.info(path).frames == 10_000
        np.testing.assert_array_equal(decode(path), soundfile.read(path)[0])


def test_header_of_five_gigabytes() -> None:
    frames = 5 * 2**30 // 4
    header = wav_header(44100, 2, "int16", frames)
    assert header[:4] == b"RF64"
    riff_bytes, data_bytes, count = struct.unpack_from("<QQQ", header, 20)
    assert (data_bytes, count) == (4 * frames, frames)
    assert riff_bytes == len(header) + 4 * frames - 8
    assert wav_header(44100, 2, "int16", 2**30 - 100)[:4] == b"RIFF"
    assert len(wav_header(44100, 2, "int16", 0)) == len(header)


def test_encoding_refuses_what_cannot_be() -> None:
    for wrong in (
        {"format": "wma"},
        {"sample_format": "int8"},
        {"mp3_bitrate": 999},
        {"mp3_preset": 1},
        {"seed": -1},
    ):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            Encoding(**wrong)


def test_sox_reads_our_wav(tmp_path: Path, tone: Tone) -> None:
    if shutil.which("sox") is None:
        pytest.skip("needs sox: apt-get install sox")
    for sample_format in ("int16", "int24", "float32"):
        path = tmp_path / f"{sample_format}.wav"
        write(path, tone(5001, 1), Encoding("wav", sample_format))
        done = subprocess.run(["sox", path, "-n", "stat"], capture_output=True, check=True)
        assert b"Samples read:              5001" in done.stderr
        assert b"WARN" not in done.stderr
