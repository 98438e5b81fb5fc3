"""File sinks: round trips through FFmpeg's command, dither, tags; what fails leaves nothing."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.audio import Samples
from streamer.errors import OutputExistsError, SettingsError, SinkError
from streamer.files import Encoding, FileSink, open_source, remove_stale_parts
from streamer.files.quantise import Quantiser
from streamer.files.wav import PcmCoder, WavWriter, wav_header

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
}


def write(path: Path, samples: Samples, encoding: Encoding, rate: int = 44100) -> str | None:
    with FileSink(path, rate, samples.shape[1], encoding, tags=TAGS) as sink:
        for start in range(0, len(samples), 9999):
            sink.write(samples[start : start + 9999])
        sink.commit()
    return sink.note


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("frames", [0, 1, FRAMES])
@pytest.mark.parametrize("channels", [1, 2, 3])
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
    encoding = Encoding(kind, sample_format, dither=False)  # type: ignore[arg-type]
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
    assert left_in(tmp_path) == [path.name]


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_int16_passes_undithered_to_the_bit(tmp_path: Path, kind: str) -> None:
    every = np.arange(-(2**15), 2**15, dtype=np.int16)[:, None]
    soundfile.write(tmp_path / "in.wav", every, 44100)
    path = tmp_path / f"out.{kind}"
    with (
        open_source(tmp_path / "in.wav") as source,
        FileSink(path, 44100, 1, Encoding(kind, dither=False)) as sink,  # type: ignore[arg-type]
    ):
        for block in source.blocks(1000):
            sink.write(block)
        sink.commit()
    np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], every[:, 0])


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("dither", [True, False])
def test_clips_and_never_wraps(bits: int, dither: bool) -> None:
    loud = np.array([[1.0], [-1.0], [7.5], [-7.5], [np.inf], [-np.inf], [np.nan]], np.float32)
    whole = Quantiser(bits, dither=dither, seed=0).feed(loud)[:, 0]
    top = 2 ** (bits - 1)
    np.testing.assert_allclose(whole[:2], [top - 1, -top], atol=2)
    assert whole[2:].tolist() == [top - 1, -top, top - 1, -top, 0]


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 500), max_size=8), bits=st.sampled_from(["int16", "int24"]))
def test_any_split_gives_the_same_bytes(cuts: list[int], bits: str) -> None:
    samples = np.random.default_rng(3).standard_normal((500, 2)).astype(np.float32)
    whole = PcmCoder(bits, dither=True, seed=5).feed(samples)  # type: ignore[arg-type]
    coder = PcmCoder(bits, dither=True, seed=5)  # type: ignore[arg-type]
    edges = [0, *sorted(cuts), 500]
    parts = [coder.feed(samples[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(parts) == whole


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_blocks_do_not_change_the_file(tmp_path: Path, tone: Tone, kind: str) -> None:
    samples, written = tone(30_000), []
    for step in (30_000, 777):
        path = tmp_path / str(step) / f"a.{kind}"
        with FileSink(path, 44100, 2, Encoding(kind)) as sink:  # type: ignore[arg-type]
            for start in range(0, 30_000, step):
                sink.write(samples[start : start + step])
            sink.commit()
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_dither_noise_is_triangular_unbiased_and_blind_to_the_signal() -> None:
    for level in (0.0, 0.25, 0.5):
        held = np.full((200_000, 1), level / 2**15, np.float32)
        error = Quantiser(16, dither=True, seed=1).feed(held)[:, 0] - level
        # Mean 0 and variance 1/4 LSB^2 (1/6 of the dither and 1/12 of the rounding) at any level.
        assert abs(error.mean()) < 0.005
        assert error.var() == pytest.approx(0.25, rel=0.02)
        assert np.abs(error).max() <= 1.5


def test_a_sine_below_the_last_bit_survives_16_bits() -> None:
    frames = 2**16
    bin_ = 1000
    sine = 1e-5 * np.sin(2 * np.pi * bin_ * np.arange(frames) / frames)[:, None]
    whole = Quantiser(16, dither=True, seed=1).feed(sine.astype(np.float32))[:, 0] / 2**15
    spectrum = np.abs(np.fft.rfft(whole)) * 2 / frames
    assert spectrum[bin_] == pytest.approx(1e-5, rel=0.05)
    harmonics = spectrum[[2 * bin_, 3 * bin_, 5 * bin_]]
    assert harmonics.max() < 1e-6
    assert not Quantiser(16, dither=False, seed=1).feed(sine.astype(np.float32)).any()


def test_stems_do_not_share_their_dither(tmp_path: Path) -> None:
    noises = []
    for name in ("drums.wav", "bass.wav"):
        write(tmp_path / name, np.zeros((5000, 1), np.float32), Encoding())
        noises.append(soundfile.read(tmp_path / name)[0])
    assert abs(np.corrcoef(noises)[0, 1]) < 0.1


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
    note = write(path, samples, Encoding(kind), rate)  # type: ignore[arg-type]
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
    write(tmp_path / f"a.{kind}", click, Encoding(kind))  # type: ignore[arg-type]
    theirs = decode(tmp_path / f"a.{kind}")[:20_000]
    lags = np.correlate(theirs[8_000:11_000, 0], click[8_500:10_500, 0], "valid")
    assert np.argmax(lags) == 500


@pytest.mark.parametrize("frames", [0, 1, 63])
@pytest.mark.parametrize("kind", ["mp3", "ogg", "opus", "m4a"])
def test_very_short_lossy_files_can_be_read(tmp_path: Path, kind: str, frames: int) -> None:
    path = tmp_path / f"a.{kind}"
    write(path, np.zeros((frames, 2), np.float32), Encoding(kind), 48000)  # type: ignore[arg-type]
    with open_source(path) as source:
        assert source.tags["title"] == TAGS["title"]
        assert sum(map(len, source.blocks())) >= frames


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus", "m4a"])
def test_tags_are_carried(tmp_path: Path, tone: Tone, ffmpeg: Ffmpeg, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    # An odd number of bytes of 24 bits: the chunk of tags must begin after the padding.
    write(path, tone(1001, 1), Encoding(kind, "int24"), 48000)  # type: ignore[arg-type]
    with open_source(path) as source:
        assert {key: source.tags.get(key) for key in TAGS} == TAGS
    where = "0:s:0" if kind in ("ogg", "opus") else "0"
    theirs = ffmpeg("-i", path, "-map_metadata", where, "-f", "ffmetadata", "-").decode()
    for text in ("Für Elise – 乐", "Album", "1999", "Jazz", "3/9"):
        assert f"={text}\n" in theirs
    if kind == "wav":
        assert soundfile.info(path).frames == 1001


def test_tags_that_do_not_fit_are_dropped(tmp_path: Path, tone: Tone) -> None:
    tags = {"title": "T", "tracknumber": "A1", "nonsense": "x"}
    for kind in ("m4a", "wav", "mp3"):
        path = tmp_path / f"a.{kind}"
        with FileSink(path, 44100, 2, Encoding(kind), tags=tags) as sink:  # type: ignore[arg-type]
            sink.write(tone(5000))
            sink.commit()
        with open_source(path) as source:
            assert source.tags["title"] == "T"


def test_riff_info_tags_and_container_tags_are_read(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    for name in ("a.wav", "a.mka", "a.mp3", "a.flac"):
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
            Encoding(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus", "m4a"])
def test_abort_and_exceptions_leave_nothing(tmp_path: Path, tone: Tone, kind: str) -> None:
    path = tmp_path / "new" / f"a.{kind}"
    encoding = Encoding(kind)  # type: ignore[arg-type]

    def interrupted() -> None:
        with FileSink(path, 44100, 2, encoding) as sink:
            sink.write(tone(20_000))
            assert len(left_in(path.parent)) == 1
            assert not path.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert left_in(path.parent) == []
    with FileSink(path, 44100, 2, encoding) as sink:
        sink.write(tone(20_000))
    assert left_in(path.parent) == []
    sink.abort()


def test_existing_files_are_kept(tmp_path: Path, tone: Tone) -> None:
    path = tmp_path / "a.wav"
    path.write_text("mine")
    with pytest.raises(OutputExistsError, match="--overwrite replaces it, --resume skips"):
        FileSink(path, 44100, 2, Encoding())
    path.unlink()
    sink = FileSink(path, 44100, 2, Encoding())
    sink.write(tone(100))
    path.write_text("mine")
    with pytest.raises(OutputExistsError):
        sink.commit()
    assert path.read_text() == "mine"
    assert left_in(tmp_path) == ["a.wav"]
    with FileSink(path, 44100, 2, Encoding(), overwrite=True) as sink:
        sink.write(tone(100))
        sink.commit()
        sink.commit()
    assert soundfile.info(path).frames == 100


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus", "m4a"])
def test_a_full_disk_is_one_sentence(
    small_disk: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (44100, 2)).astype(np.float32)
    path = small_disk / f"a.{kind}"

    with pytest.raises(SinkError) as caught:
        write(path, np.concatenate([noise] * 30), Encoding(kind))  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"{path} cannot be written: the disk is full; free some space or write to another folder"
    )
    assert left_in(small_disk) == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus", "m4a"])
def test_a_disk_that_fills_at_the_very_end(small_disk: Path, tone: Tone, kind: str) -> None:
    """Whatever space is left, the file is whole or not there."""
    samples = tone(30_000)
    encoding = Encoding(kind)  # type: ignore[arg-type]
    whole = small_disk / f"whole.{kind}"
    write(whole, samples, encoding)
    size = whole.stat().st_size
    reference = whole.read_bytes()
    whole.unlink()
    outcomes = set()
    for spare in range(-12288, 12289, 4096):
        (small_disk / "ballast").write_bytes(bytes(2**18 - size // 4096 * 4096 - spare - 4096))
        path = small_disk / f"whole.{kind}"
        try:
            write(path, samples, encoding)
        except SinkError:
            outcomes.add("refused")
            assert left_in(small_disk) == ["ballast"]
        else:
            outcomes.add("written")
            assert path.stat().st_size == len(reference)
            path.unlink()
    assert outcomes == {"refused", "written"}


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.wav").mkdir()
    for path, words in {
        tmp_path / "file" / "a.wav": "a file stands where its folder should be",
        tmp_path / "file" / "b" / "a.wav": "a file stands where its folder should be",
        tmp_path / "folder.wav": "a folder stands under that name",
        tmp_path / f"{'x' * 300}.wav": "longer than the disk allows",
        tmp_path / ("y" * 300) / "a.wav": "longer than the disk allows",
    }.items():
        with pytest.raises(SinkError, match=words):
            FileSink(path, 44100, 2, Encoding())
    with pytest.raises(SinkError, match="at most 2 channels"):
        FileSink(tmp_path / "a.mp3", 44100, 6, Encoding("mp3"))
    with pytest.raises(SinkError, match="choose another format"):
        FileSink(tmp_path / "a.flac", 44100, 9, Encoding("flac"))
    assert left_in(tmp_path) == ["file", "folder.wav"]


def test_a_read_only_disk(read_only_disk: Path) -> None:
    with pytest.raises(SinkError, match="the disk is read-only; write to another folder"):
        FileSink(read_only_disk / "a.wav", 44100, 2, Encoding())
    with pytest.raises(SinkError, match="the disk is read-only; write to another folder"):
        FileSink(read_only_disk / "new" / "a.wav", 44100, 2, Encoding())


@pytest.mark.parametrize(
    "name",
    [
        "a song",
        "Für Elise – 乐",
        "-dash",
        "a:b%d",
        "x" * 251,
        os.fsdecode(b"\xff\xfe"),
        "乐" * 83,
    ],
)
@pytest.mark.parametrize("kind", ["wav", "mp3", "ogg", "flac", "m4a"])
def test_names(
    tmp_path: Path, tone: Tone, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(f"{name[:250] if len(kind) == 4 else name}.{kind}")
    write(path, tone(3000), Encoding(kind))  # type: ignore[arg-type]
    assert left_in(tmp_path) == [path.name]
    with open_source(path) as source:
        assert sum(map(len, source.blocks())) >= 3000


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system with kill -9")
@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "m4a"])
def test_kill_leaves_only_a_part_file_that_is_cleaned_up(tmp_path: Path, kind: str) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from streamer.files import Encoding, FileSink\n"
        "sink = FileSink(Path(sys.argv[1]), 44100, 2, Encoding(sys.argv[2]))\n"
        "block = np.random.default_rng(0).uniform(-1, 1, (44100, 2)).astype('f4')\n"
        "for turn in range(10**9):\n"
        "    sink.write(block)\n"
        "    if turn == 3: print('going', flush=True)\n"
    )
    path = tmp_path / f"a.{kind}"
    command = [sys.executable, "-c", code, str(path), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"going\n"
        process.kill()
    left = left_in(tmp_path)
    assert len(left) == 1
    assert left[0].startswith(f"a.{kind}.")
    assert left[0].endswith(".part")
    other = tmp_path / f"b.{kind}.0123456789abcdef.part"
    other.touch()
    (tmp_path / f"a.{kind}").touch()
    remove_stale_parts(path)
    assert left_in(tmp_path) == [f"a.{kind}", other.name]


def test_two_runs_never_share_a_part_file(tmp_path: Path, tone: Tone) -> None:
    path = tmp_path / "a.wav"
    first = FileSink(path, 44100, 2, Encoding())
    second = FileSink(path, 44100, 2, Encoding())
    first.write(tone(100))
    second.write(tone(200))
    first.commit()
    with pytest.raises(OutputExistsError):
        second.commit()
    assert soundfile.info(path).frames == 100
    assert left_in(tmp_path) == ["a.wav"]


def test_sox_reads_our_wav(tmp_path: Path, tone: Tone) -> None:
    if shutil.which("sox") is None:
        pytest.skip("needs sox: apt-get install sox")
    for sample_format in ("int16", "int24", "float32"):
        path = tmp_path / f"{sample_format}.wav"
        write(path, tone(5001, 1), Encoding("wav", sample_format))  # type: ignore[arg-type]
        done = subprocess.run(["sox", path, "-n", "stat"], capture_output=True, check=True)
        assert b"Samples read:              5001" in done.stderr
        assert b"WARN" not in done.stderr
