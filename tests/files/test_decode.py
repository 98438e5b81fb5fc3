"""Sources: every format against FFmpeg's command, exact counts, damage, pipes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamer.audio import Samples
from streamer.errors import SourceError
from streamer.files import open_source
from streamer.files.decode.pcm_sizes import has_only_sound
from streamer.files.tags import write_tags

Ffmpeg = Callable[..., bytes]
Decode = Callable[..., Samples]
Tone = Callable[..., Samples]
FRAMES = 44100 + 123


def read(path: Path | str, block_frames: int = 65536) -> tuple[Samples, list[str]]:
    with open_source(path) as source:
        blocks = list(source.blocks(block_frames))
        assert all(len(block) == block_frames for block in blocks[:-1])
        assert all(block.dtype == np.float32 for block in blocks)
        empty = np.zeros((0, source.channels), np.float32)
        return np.concatenate([empty, *blocks]), source.losses


@pytest.fixture(scope="session")
def wav(tmp_path_factory: pytest.TempPathFactory, tone: Tone) -> Path:
    path = tmp_path_factory.mktemp("wav") / "tone.wav"
    soundfile.write(path, tone(FRAMES), 44100, subtype="FLOAT")
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("u8.wav", ["-c:a", "pcm_u8"]),
        ("16.wav", ["-c:a", "pcm_s16le"]),
        ("24.wav", ["-c:a", "pcm_s24le"]),
        ("32.wav", ["-c:a", "pcm_s32le"]),
        ("float.wav", ["-c:a", "pcm_f32le"]),
        ("double.wav", ["-c:a", "pcm_f64le"]),
        ("adpcm.wav", ["-c:a", "adpcm_ima_wav"]),
        ("rf64.wav", ["-rf64", "always"]),
        ("16.flac", ["-sample_fmt", "s16"]),
        ("24.flac", ["-sample_fmt", "s32"]),
        ("a.mp3", []),
        ("vbr.mp3", ["-q:a", "2", "-write_xing", "0"]),
        ("a.ogg", ["-c:a", "libvorbis"]),
        ("a.opus", []),
        ("a.m4a", []),
        ("alac.m4a", ["-c:a", "alac"]),
        ("a.aac", []),
        ("a.aiff", []),
        ("a.mka", ["-c:a", "libvorbis"]),
        ("6ch.wav", ["-ac", "6"]),
        ("8k.mp3", ["-ar", "8000", "-ac", "1"]),
        ("192k.flac", ["-ar", "192000"]),
    ],
)
def test_decodes_what_ffmpeg_decodes(
    tmp_path: Path, wav: Path, ffmpeg: Ffmpeg, decode: Decode, name: str, options: list[str]
) -> None:
    path = tmp_path / name
    ffmpeg("-i", wav, *options, path)
    samples, losses = read(path, 10_000)
    theirs = decode(path, samples.shape[1])
    assert losses == []
    assert len(samples) == len(theirs)
    # Two versions of one lossy decoder differ in the last bits; PCM may not differ at all.
    close = 0.0 if path.suffix in (".wav", ".flac", ".aiff") else 3e-4
    close = 2e-3 if name == "adpcm.wav" else close  # libsndfile is as FFmpeg 8, not 5
    np.testing.assert_allclose(samples, theirs, rtol=0, atol=close)
    with open_source(path) as source:
        assert source.frames in (None, len(samples))
        if path.suffix in (".wav", ".aiff"):
            assert source.frames == len(samples)
        assert source.seconds == pytest.approx(len(samples) / source.samplerate, abs=0.2)
        source.seek(len(samples) // 2)
        rest = np.concatenate(list(source.blocks()))
    close = 0.05 if name == "a.m4a" else 1e-6  # FFmpeg's AAC has bands of noise, drawn anew
    np.testing.assert_allclose(rest, samples[len(samples) // 2 :], rtol=0, atol=close)


def test_a_video_gives_its_sound(tmp_path: Path, wav: Path, ffmpeg: Ffmpeg, decode: Decode) -> None:
    path = tmp_path / "clip.mkv"
    picture = ["-f", "lavfi", "-i", "color=size=32x32:rate=5:duration=1"]
    ffmpeg(*picture, "-i", wav, "-c:a", "flac", "-c:v", "mpeg4", path)
    samples, losses = read(path)
    assert losses == []
    np.testing.assert_array_equal(samples, decode(path))
    silent = tmp_path / "silent.mkv"
    ffmpeg(*picture, "-c:v", "mpeg4", silent)
    with pytest.raises(SourceError, match="holds no audio"):
        open_source(silent)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
def test_reopen_gives_the_same_again(tmp_path: Path, wav: Path, ffmpeg: Ffmpeg, name: str) -> None:
    path = tmp_path / name
    ffmpeg("-i", wav, path)
    with open_source(path) as source:
        assert source.rewindable
        first = np.concatenate(list(source.blocks(4096)))
        source.reopen()
        next(source.blocks(100))
        source.reopen()
        np.testing.assert_array_equal(np.concatenate(list(source.blocks())), first)


@pytest.mark.parametrize(
    ("name", "frames"),
    [("a.wav", 0), ("a.wav", 1), ("a.wav", 65536), ("a.flac", 1), ("a.flac", 65537), ("a.ogg", 0)],
)
def test_edge_lengths(tmp_path: Path, tone: Tone, name: str, frames: int) -> None:
    soundfile.write(tmp_path / name, tone(frames), 44100)
    samples, losses = read(tmp_path / name)
    assert samples.shape == (frames, 2)
    assert losses == []


def test_not_finite_and_too_loud_samples_pass(tmp_path: Path) -> None:
    data = np.array([[np.nan], [np.inf], [-np.inf], [3.5]], np.float32)
    soundfile.write(tmp_path / "odd.wav", data, 8000, subtype="FLOAT")
    np.testing.assert_array_equal(read(tmp_path / "odd.wav")[0], data)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.aiff", "a.wv", "front.m4a"])
def test_cut_short_gives_what_is_there_and_says_so(
    tmp_path: Path, wav: Path, ffmpeg: Ffmpeg, decode: Decode, name: str
) -> None:
    path = tmp_path / name
    ffmpeg("-i", wav, *(["-movflags", "faststart"] if "m4a" in name else []), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    samples, losses = read(path)
    assert 0.3 * FRAMES < len(samples) < 0.7 * FRAMES
    assert len(samples) == len(decode(path))
    seconds = len(samples) / 44100
    assert losses == [f"{name} is damaged or cut short: {seconds:.1f} s of 1.0 s decoded"]


def test_a_reading_that_breaks_off_is_no_packet_that_is_left_out(
    tmp_path: Path, wav: Path, ffmpeg: Ffmpeg
) -> None:
    path = tmp_path / "a.wv"
    ffmpeg("-i", wav, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with open_source(path) as source:
        source.seek(1)  # from here on no length is known
        seconds = (1 + sum(map(len, source.blocks()))) / 44100
        assert source.losses == [f"a.wv is damaged: nothing after {seconds:.1f} s can be read"]


@pytest.mark.parametrize("name", ["a.ogg", "a.opus"])
def test_an_ogg_file_that_is_cut_short_says_so(
    tmp_path: Path, tone: Tone, ffmpeg: Ffmpeg, name: str
) -> None:
    """Also where it is cut between two pages, and from a pipe."""
    soundfile.write(tmp_path / "a.wav", tone(44100 * 5), 44100)
    path = tmp_path / name
    codec = {"a.ogg": "libvorbis", "a.opus": "libopus"}[name]
    # with the four letters that every page begins with among the tags
    tags = ["-metadata", "title=OggS OggS"]
    ffmpeg("-i", tmp_path / "a.wav", "-c:a", codec, *tags, path)
    whole = path.read_bytes()
    assert read(path)[1] == []
    page = whole.index(b"OggS", len(whole) // 2)
    for end in (page, page + 9, page - 100, len(whole) - 1):
        path.write_bytes(whole[:end])
        samples, losses = read(path)
        assert len(samples) > 44100
        (loss,) = losses
        assert loss.startswith(f"{name} is cut short: its last page is missing; "), end
        assert loss.endswith(" s decoded")
        done = subprocess.run(
            [sys.executable, "-c", PIPE_READER], input=whole[:end], capture_output=True, check=True
        )
        assert b"standard input is cut short" in done.stderr


@pytest.mark.parametrize("samplerate", [1, 999, 768_001, 2**31 - 1])
def test_a_rate_that_no_audio_has(tmp_path: Path, tone: Tone, samplerate: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(100), samplerate)
    with pytest.raises(SourceError, match=f"a sample rate of {samplerate} Hz"):
        open_source(path)
    for fine in (1000, 768_000):
        soundfile.write(path, tone(100), fine)
        assert len(read(path)[0]) == 100


def test_a_recording_that_changes_its_channels_and_rate(
    tmp_path: Path, tone: Tone, ffmpeg: Ffmpeg
) -> None:
    data = b""
    for channels, rate in ((2, 44100), (1, 44100), (2, 22050), (2, 44100)):
        soundfile.write(tmp_path / "a.wav", tone(rate, channels, rate), rate)
        options = ["-write_xing", "0", "-id3v2_version", "0", "-f", "mp3"]
        data += ffmpeg("-i", tmp_path / "a.wav", *options, "-")
    (tmp_path / "radio.mp3").write_bytes(data)
    with open_source(tmp_path / "radio.mp3") as source:
        assert (source.samplerate, source.channels) == (44100, 2)
        whole = np.concatenate(list(source.blocks()))
    # Each part brings its own encoder delay and padding, as it has no header to tell them.
    assert 4 * 44100 < len(whole) < 4 * 44100 + 12_000
    for second in range(4):  # the same sine on the left all along
        left = whole[int((second + 0.3) * 44100) : int((second + 0.8) * 44100), 0]
        spectrum = np.abs(np.fft.rfft(left))
        assert np.argmax(spectrum) == pytest.approx(110, abs=1)


def test_mp3_without_a_length_is_not_called_cut_short(
    tmp_path: Path, tone: Tone, ffmpeg: Ffmpeg
) -> None:
    # Silence first: from its bit rate FFmpeg guesses several times the true length.
    soundfile.write(tmp_path / "a.wav", np.concatenate([tone(9000) * 0, tone(90000)]), 44100)
    ffmpeg("-i", tmp_path / "a.wav", "-q:a", "0", "-write_xing", "0", tmp_path / "a.mp3")
    assert read(tmp_path / "a.mp3")[1] == []
    command = [sys.executable, "-c", PIPE_READER]
    with (tmp_path / "a.mp3").open("rb") as file:  # standard input with a size to guess by
        done = subprocess.run(command, stdin=file, capture_output=True, check=True)
    assert b"False, None, []]" in done.stderr


def test_damage_in_the_middle_is_told(tmp_path: Path, wav: Path, ffmpeg: Ffmpeg) -> None:
    for name in ("a.flac", "a.mp3"):
        path = tmp_path / name
        ffmpeg("-i", wav, path)
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 2000] = bytes(2000)
        path.write_bytes(data)
        samples, losses = read(path)
        assert len(samples) > 0.6 * FRAMES, name
        assert len(losses) == 1, name


def test_bad_inputs_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("This is no music.\n" * 100)
    (tmp_path / "text.mp3").write_text("Neither is this.\n" * 100)
    (tmp_path / "head.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVE")
    (tmp_path / "noise.flac").write_bytes(np.random.default_rng(1).bytes(5000))
    expected = {
        "missing.wav": "does not exist",
        "empty.wav": "is empty",
        "text.wav": "is not audio",
        "text.mp3": "audio",
        "head.wav": "audio",
        "noise.flac": "audio",
        ".": "is a folder",
        "empty.wav/x": "does not exist",
        "x" * 300: "longer than a path may be",
        "nul\0.wav": "cannot be a file name",
    }
    with pytest.raises(SourceError, match="An empty name was given"):
        open_source("")
    for name, words in expected.items():
        with pytest.raises(SourceError) as caught:
            open_source(f"{tmp_path}/{name}")
        assert words in str(caught.value), name
        assert "\n" not in str(caught.value)
        assert "; " in str(caught.value), "no way out is told"


def test_no_right_to_read(tmp_path: Path, wav: Path) -> None:
    path = tmp_path / "secret.wav"
    shutil.copy(wav, path)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read anything: run as another user")
    with pytest.raises(SourceError, match="may not be read"):
        open_source(path)


@pytest.mark.parametrize(
    "name", ["a song", "Für Elise – 乐", "-dash", "a:b%d", "a.b.c", os.fsdecode(b"\xff\xfe")]
)
def test_names(
    tmp_path: Path, wav: Path, ffmpeg: Ffmpeg, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(f"{name}.mp3")
    ffmpeg("-i", wav, "plain.mp3")
    Path("plain.mp3").rename(path)
    with open_source(path) as source:
        assert source.name == name
        assert sum(map(len, source.blocks())) == FRAMES


PIPE_READER = """
import sys, numpy as np
from streamer.files import open_source
with open_source("-") as source:
    total = np.concatenate([np.zeros((0, source.channels), np.float32), *source.blocks()])
    told = [source.name, source.samplerate, source.rewindable, source.frames, source.losses]
    print(told, file=sys.stderr)
sys.stdout.buffer.write(total.tobytes())
"""


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg"])
def test_standard_input(wav: Path, ffmpeg: Ffmpeg, kind: str) -> None:
    sent = ffmpeg("-i", wav, "-f", kind, *(["-c:a", "libvorbis"] if kind == "ogg" else []), "-")
    command = [sys.executable, "-c", PIPE_READER]
    done = subprocess.run(command, input=sent, capture_output=True, check=True)
    theirs = ffmpeg("-f", kind, "-i", "-", "-f", "f32le", "-", given=sent)
    assert b"['stdin', 44100, False, None, []]" in done.stderr
    assert len(done.stdout) == len(theirs)
    np.testing.assert_allclose(
        np.frombuffer(done.stdout, np.float32), np.frombuffer(theirs, np.float32), atol=3e-4
    )


@pytest.mark.parametrize("kind", ["m4a", "mov"])
def test_an_index_at_the_end_cannot_come_from_a_pipe(
    tmp_path: Path, tone: Tone, ffmpeg: Ffmpeg, kind: str
) -> None:
    soundfile.write(tmp_path / "a.wav", tone(44100 * 20), 44100)
    ffmpeg("-i", tmp_path / "a.wav", "-c:a", "alac", tmp_path / f"a.{kind}")
    sent = (tmp_path / f"a.{kind}").read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", PIPE_READER], input=sent, capture_output=True, check=False
    )
    said = done.stderr.decode().splitlines()[-1]
    assert "cannot be read from a pipe; give its file name instead" in said
    assert "damaged" not in said


def test_sox_pipe_and_a_pipe_with_nothing(wav: Path) -> None:
    command = [sys.executable, "-c", PIPE_READER]
    done = subprocess.run(command, input=b"", capture_output=True)
    assert b"standard input is not audio" in done.stderr
    if shutil.which("sox") is None:
        pytest.skip("needs sox: apt-get install sox")
    with subprocess.Popen(["sox", wav, "-t", "wav", "-"], stdout=subprocess.PIPE) as sox:
        done = subprocess.run(command, stdin=sox.stdout, capture_output=True, check=True)
    assert b"['stdin', 44100, False, None, []]" in done.stderr
    assert len(done.stdout) == FRAMES * 2 * 4


def test_a_named_pipe_is_read_once(tmp_path: Path, wav: Path) -> None:
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(wav.read_bytes()))
    writer.start()
    with open_source(pipe) as source:
        assert sum(map(len, source.blocks())) == FRAMES
        with pytest.raises(SourceError, match="only once"):
            source.reopen()
    writer.join()


def test_ctrl_c_inside_a_read_is_not_swallowed(wav: Path) -> None:
    from streamer.files.decode.compressed import AvSource

    class Interrupted:
        def __init__(self) -> None:
            self.file = wav.open("rb")
            self.close = self.file.close

        def seekable(self) -> bool:
            return False

        def read(self, size: int) -> bytes:
            if self.file.tell() > 100_000:
                raise KeyboardInterrupt
            return self.file.read(size)

    source = AvSource("stub", Interrupted)
    with source, pytest.raises(KeyboardInterrupt):
        list(source.blocks())


def test_memory_does_not_grow_with_length(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    peaks = []
    for minutes in (1, 8):
        path = tmp_path / f"{minutes}.flac"
        ffmpeg("-f", "lavfi", "-i", f"sine=duration={60 * minutes}", path)
        code = (
            "import resource, sys; from streamer.files import open_source\n"
            "for _ in open_source(sys.argv[1]).blocks(): pass\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] < peaks[0] * 1.05


def test_only_a_wav_without_a_place_for_tags_is_not_searched_for_them(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    soundfile.write(song, np.zeros((100, 2), "f4"), 8000)
    assert has_only_sound(song)
    write_tags(song, "wav", {"title": "A Song"})
    assert not has_only_sound(song)
    with open_source(song) as source:
        assert source.tags == {"title": "A Song"}
