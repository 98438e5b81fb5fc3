"""What `separate` writes: which stems, in which formats, and what holds between them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from support.doubles import RATE, noise

from streamer.audio import Samples
from streamer.files import LoudnessMeter, open_source, reference_stems
from streamer.settings import Settings

STEMS = ("drums", "bass", "other", "vocals")
FLOATS = ("--float32", "--clip-mode", "none")
Run = Callable[..., Any]
Read = Callable[[Path], Samples]


def decibels(wanted: Samples, got: Samples) -> float:
    error = np.square(wanted - got, dtype=np.float64).sum()
    return float(10 * np.log10(error / np.square(wanted, dtype=np.float64).sum() + 1e-30))


def test_only_the_wanted_stems(separate: Run, song: Run, files: Run, elsewhere: Path) -> None:
    assert separate("--stems", "vocals,bass", song()).code == 0
    assert files(elsewhere / "separated") == {
        "passthrough/song/vocals.wav",
        "passthrough/song/bass.wav",
    }


def test_the_demo_leaves_stems_of_a_song_of_yours_as_they_are(
    stemstream: Run, song: Run, elsewhere: Path
) -> None:
    path, vocals = song(), elsewhere / "separated" / "mini_duo" / "song" / "vocals.wav"
    assert stemstream("demo", path).code == 0
    vocals.write_bytes(b"edited")
    again = stemstream("demo", path)
    assert again.code == 0
    assert "left as they are" in again.err
    assert vocals.read_bytes() == b"edited"


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus", "m4a"])
def test_formats(kind: str, separate: Run, song: Run, elsewhere: Path) -> None:
    assert separate("--format", kind, "--stems", "bass", song()).code == 0
    file = elsewhere / "separated" / "passthrough" / "song" / f"bass.{kind}"
    with av.open(str(file)) as container:
        codec = container.streams.audio[0].codec_context.name.split("_")[0].removesuffix("float")
        assert codec == {"wav": "pcm", "ogg": "vorbis", "m4a": "aac"}.get(kind, kind)
        frames = list(container.decode(audio=0))
    seconds = sum(frame.samples / frame.sample_rate for frame in frames)
    assert seconds == pytest.approx(20_000 / 44_100, abs=0.06)


def test_stem_mp4(separate: Run, song: Run, files: Run, elsewhere: Path) -> None:
    outcome = separate("--format", "stem.mp4", song())
    assert outcome.code == 0, outcome.err
    assert files(elsewhere / "separated") == {"passthrough/song.stem.mp4"}
    with av.open(str(elsewhere / "separated/passthrough/song.stem.mp4")) as container:
        assert len(container.streams.audio) == 1 + len(STEMS)


def test_a_folder_called_dash(separate: Run, song: Run, files: Run, elsewhere: Path) -> None:
    assert separate("-o", "./-", "--stems", "bass", song()).code == 0
    assert files(elsewhere / "-") == {"passthrough/song/bass.wav"}


def test_names_of_stem_mp4(separate: Run, song: Run, files: Run, elsewhere: Path) -> None:
    paths = song("a/song.wav"), song("b/song.flac", subtype=None)
    outcome = separate("--format", "stem.mp4", *paths)
    assert "try --filename '{track}.{trackext}.{ext}'" in outcome.complaint
    named = ("--format", "stem.mp4", "--filename", "{track}.{trackext}.{ext}")
    assert separate(*named, *paths).code == 0
    made = {"passthrough/song.wav.stem.mp4", "passthrough/song.flac.stem.mp4"}
    assert files(elsewhere / "separated") == made


@pytest.mark.parametrize(
    ("flag", "subtype"),
    [("--int16", "PCM_16"), ("--int24", "PCM_24"), ("--float32", "FLOAT")],
)
def test_sample_formats(flag: str, subtype: str, separate: Run, song: Run, elsewhere: Path) -> None:
    assert separate(flag, "--stems", "bass", song()).code == 0
    about = soundfile.info(str(elsewhere / "separated/passthrough/song/bass.wav"))
    assert (about.subtype, about.frames, about.samplerate) == (subtype, 20_000, 44_100)


def test_json_alone_is_on_standard_output(separate: Run, song: Run) -> None:
    outcome = separate("--json", "--stems", "vocals", song("a.wav"), "none.wav", song("b.wav"))
    first, failed, last = json.loads(outcome.out)
    assert [Path(one["source"]).name for one in (first, last)] == ["a.wav", "b.wav"]
    assert (first["samplerate"], first["frames"], first["skipped"]) == (44_100, 20_000, False)
    assert Path(first["stems"]["vocals"]["path"]).is_file()
    assert first["stems"]["vocals"]["sdr_db"] is None
    assert "does not exist" in failed["error"]
    assert outcome.code == 3
    assert "does not exist" in outcome.complaint


def test_silence_is_null_in_json(separate: Run, song: Run) -> None:
    outcome = separate("--json", song("a.wav", noise(9) * 0))
    (one,) = json.loads(outcome.out)
    assert one["stems"]["drums"]["peak_db"] is None


def test_seed_gives_the_same_bytes(stemstream: Run, song: Run, repo: Path, elsewhere: Path) -> None:
    path = song(audio=noise(5_000), samplerate=RATE)
    model = ("separate", "-n", "tiny", "--repo", repo, "--trust-checkpoint", "--shifts", 2)
    made = []
    for run, seed in enumerate([3, 3, 4]):
        assert stemstream(*model, "--seed", seed, "-o", f"run {run}", path).code == 0
        made.append((elsewhere / f"run {run}/tiny/song/vocals.wav").read_bytes())
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_loudness_is_one_gain_for_all_stems(
    stemstream: Run, song: Run, repo: Path, read: Read, elsewhere: Path
) -> None:
    path = song(audio=noise(16_123), samplerate=RATE)
    model = ("separate", "-n", "tiny", "--repo", repo, "--trust-checkpoint", "--shifts", 0, *FLOATS)
    assert stemstream(*model, "-o", "plain", path).code == 0
    assert stemstream(*model, "-o", "loud", "--loudness", -16, path).code == 0
    meter = LoudnessMeter(RATE, 2)
    mix = read(path)
    meter.feed(mix)
    gain = 10 ** ((-16 - meter.integrated()) / 20)
    assert not 0.9 < gain < 1.1
    for stem in STEMS:
        plain = read(elsewhere / f"plain/tiny/song/{stem}.wav")
        loud = read(elsewhere / f"loud/tiny/song/{stem}.wav")
        assert np.abs(plain).max() > 1e-3
        assert decibels(plain * gain, loud) < -100


def test_residual_and_stems_are_the_mix(
    stemstream: Run, song: Run, repo: Path, read: Read, elsewhere: Path
) -> None:
    path = song(audio=noise(9_001), samplerate=RATE)
    model = ("separate", "-n", "tiny", "--repo", repo, "--trust-checkpoint", *FLOATS)
    assert stemstream(*model, "--residual", "-o", "a", path).code == 0
    assert stemstream(*model, "--conserve", "-o", "b", path).code == 0
    with_residual = {stem: read(elsewhere / f"a/tiny/song/{stem}.wav") for stem in STEMS}
    residual = read(elsewhere / "a/tiny/song/residual.wav")
    conserved = {stem: read(elsewhere / f"b/tiny/song/{stem}.wav") for stem in STEMS}
    mix = read(path)
    assert decibels(mix, sum(with_residual.values())) > -60
    assert decibels(mix, sum(with_residual.values()) + residual) < -90
    assert decibels(mix, sum(conserved.values())) < -90
    for stem in ("drums", "bass", "vocals"):
        assert np.array_equal(conserved[stem], with_residual[stem])


def test_tags_and_names_with_brackets(separate: Run, song: Run, elsewhere: Path) -> None:
    name = "A song [live] :smile: {x} Ünï 日本"
    outcome = separate("--stems", "bass", song(f"{name}.wav"))
    assert outcome.code == 0, outcome.err
    assert (elsewhere / "separated/passthrough" / name / "bass.wav").is_file()
    assert f"{name}.wav, separated by passthrough" in outcome.err


def test_table_names_every_file_and_the_residual(separate: Run, song: Run) -> None:
    told = separate("-o", "out", song()).err
    assert "song.wav, separated by passthrough into out/passthrough/song" in told
    for stem in STEMS:
        assert f"{stem}.wav" in told
    assert "residual 9.5 dB against the mix" in told  # four times the mix, less the mix
    assert "x real time" in told
    assert "peak memory" in told


def test_the_residual_does_not_count_in_what_is_left(separate: Run, song: Run) -> None:
    path = song()
    (plain,) = json.loads(separate("--json", "-o", "a", path).out)
    (told,) = json.loads(separate("--json", "-o", "b", "--residual", path).out)
    assert told["residual_db"] == plain["residual_db"] == pytest.approx(9.5, abs=0.1)
    assert set(told["stems"]) == {*STEMS, "residual"}
    (some,) = json.loads(separate("--json", "-o", "c", "--residual", "--stems", "bass", path).out)
    assert some["residual_db"] is None


def test_environment_and_file_reach_the_run(
    stemstream: Run, song: Run, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMUCS_MODEL", "passthrough")
    monkeypatch.setenv("USE_FLOAT32", "true")
    (elsewhere / "mine.toml").write_text('out = "from the file"\nstems = ["bass"]\n')
    assert stemstream("separate", "--config", "mine.toml", song()).code == 0
    file = elsewhere / "from the file/passthrough/song/bass.wav"
    assert soundfile.info(str(file)).subtype == "FLOAT"
    assert Settings().sample_format != "float32"


@pytest.mark.parametrize("words", [(), ("--float32",)])
def test_the_four_stems_of_a_stem_mp4_are_the_mix(
    words: tuple[str, ...], stemstream: Run, song: Run, repo: Path, elsewhere: Path
) -> None:
    """What DJ software plays are the stems alone."""
    path = song(audio=noise(16_000), samplerate=RATE)
    model = ("separate", "-n", "tiny", "--repo", repo, "--trust-checkpoint", "--clip-mode", "none")

    def lacks(*more: str) -> float:
        kind = ("--format", "stem.mp4", "--overwrite", *words, *more)
        assert stemstream(*model, *kind, path).code == 0
        file = elsewhere / "separated/tiny/song.stem.mp4"
        stems = reference_stems(file)
        assert stems is not None
        with ExitStack() as files:
            opened = [files.enter_context(stem) for stem in stems.values()]
            total = sum(np.concatenate(list(stem.blocks())) for stem in opened)
            mix = files.enter_context(open_source(file))
            return decibels(np.concatenate(list(mix.blocks())), total)

    assert lacks() < (-100 if words else -15)  # of AAC the codec's own noise is left
    assert lacks("--no-conserve") > lacks() + 5


DEPTHS = {"PCM_U8": 16, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 32}


@pytest.mark.parametrize("subtype", DEPTHS)
def test_sample_format_source_keeps_the_depth_and_16_bits_of_more_are_told(
    subtype: str, separate: Run, song: Run, elsewhere: Path
) -> None:
    path = song(subtype=subtype)
    one = ("--stems", "bass", "--overwrite")
    kept = separate(*one, "--sample-format", "source", path)
    assert "bits" not in kept.notes
    file = elsewhere / "separated/passthrough/song/bass.wav"
    wanted = {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}[DEPTHS[subtype]]
    assert soundfile.info(str(file)).subtype == wanted
    told = separate(*one, path)
    assert ("--sample-format source keeps them" in told.notes) == (DEPTHS[subtype] > 16)


@pytest.mark.parametrize(
    ("name", "coded", "bits"),
    [
        ("a.flac", ("-c:a", "flac", "-sample_fmt", "s16"), 16),
        ("a.flac", ("-c:a", "flac", "-sample_fmt", "s32"), 24),
        ("a.m4a", ("-c:a", "alac", "-sample_fmt", "s32p"), 24),
        ("a.m4a", ("-c:a", "aac"), 16),
        ("a.mp3", (), 16),
        ("a.wv", ("-c:a", "wavpack", "-sample_fmt", "fltp"), 32),
        ("a.mkv", ("-c:a", "pcm_s24le"), 24),
        ("a.mkv", ("-c:a", "pcm_f32le"), 32),
        ("a.mov", ("-c:a", "pcm_s32be"), 32),
        ("a.mkv", ("-c:a", "dca", "-strict", "-2"), 16),
    ],
)
def test_sample_format_source_of_compressed_songs(
    name: str, coded: tuple[str, ...], bits: int, separate: Run, song: Run, ffmpeg: Run
) -> None:
    ffmpeg("-i", song(), *coded, name)
    outcome = separate("--stems", "bass", "--sample-format", "source", name)
    assert outcome.code == 0, outcome.err
    about = soundfile.info("separated/passthrough/a/bass.wav")
    assert about.subtype == {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}[bits]
