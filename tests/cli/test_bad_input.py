"""Whatever comes in: one sentence, the right exit code, nothing half-written, and no more lost
than there is to lose."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from support.doubles import noise

from cli.tracks import try_all
from streamer.audio import Samples
from streamer.errors import SourceError

Run = Callable[..., Any]
Read = Callable[[Path], Samples]
SETTING, SOURCE, SINK, MODEL = 2, 3, 4, 5
ONE = ("--stems", "vocals", "--float32", "--clip-mode", "none")
VOCALS = "separated/passthrough/song/vocals.wav"


@pytest.fixture
def nothing_made(elsewhere: Path, files: Run) -> Iterator[None]:
    """Nothing may have come to stand under ``separated`` when the test is over."""
    yield
    assert files(elsewhere / "separated") == set()


# inputs that cannot be read


@pytest.mark.usefixtures("nothing_made")
def test_missing_file(separate: Run) -> None:
    outcome = separate("none.wav")
    assert outcome.code == SOURCE
    assert "none.wav does not exist" in outcome.complaint


@pytest.mark.usefixtures("nothing_made")
def test_no_model_is_fetched_for_inputs_that_are_not_there(separate: Run) -> None:
    outcome = separate("none.wav", "no folder/two.wav", "--json", model="no-such-model")
    assert outcome.code == SOURCE
    assert outcome.err.count("does not exist") == 2
    assert [one["source"] for one in json.loads(outcome.out)] == ["none.wav", "no folder/two.wav"]


@pytest.mark.usefixtures("nothing_made")
def test_folder(separate: Run, elsewhere: Path) -> None:
    (elsewhere / "album").mkdir()
    outcome = separate("album")
    assert outcome.code == SOURCE
    assert "album is a folder" in outcome.complaint


@pytest.mark.usefixtures("nothing_made")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"To be, or not to be\n" * 50, "not audio"),
        (bytes(4000), "not audio"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio"),
        (b"fLaC" + bytes(range(256)) * 4, "audio"),
    ],
    ids=["empty", "text", "zeros", "half a header", "false FLAC"],
)
def test_no_audio(content: bytes, said: str, separate: Run, elsewhere: Path) -> None:
    (elsewhere / "song.wav").write_bytes(content)
    outcome = separate("song.wav")
    assert outcome.code == SOURCE
    assert said in outcome.complaint


@contextmanager
def as_somebody() -> Iterator[None]:
    """Be a user who is not root, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.usefixtures("nothing_made")
def test_unreadable_file(separate: Run, song: Run) -> None:
    path = song()
    assert separate("-o", "loads what is loaded late", path).code == 0
    path.chmod(0)
    with as_somebody():
        outcome = separate(path)
    assert outcome.code == SOURCE
    assert "may not be read" in outcome.complaint


def test_all_that_can_be_are_separated(
    separate: Run, song: Run, files: Run, elsewhere: Path
) -> None:
    outcome = separate("--stems", "bass", song("a.wav"), "none.wav", song("b.wav"))
    assert outcome.code == SOURCE
    assert "none.wav" in outcome.complaint
    made = {"passthrough/a/bass.wav", "passthrough/b/bass.wav"}
    assert files(elsewhere / "separated") == made


def test_a_bad_file_does_not_end_the_run(separate: Run, song: Run, elsewhere: Path) -> None:
    """Each of these once was a traceback that left the rest undone, and ``--json`` empty."""
    whole = song("good.wav").read_bytes()
    (elsewhere / "a.w64").write_bytes(b"riff" + b"\xff" * 60)
    (elsewhere / "b.opus").write_bytes(b"OggS" + bytes(22) + b"\0OpusHead" + bytes(60))
    (elsewhere / "c.mp4").write_bytes(b"\0\0\0\1moov\0\0")
    (elsewhere / "z.wav").write_bytes(whole)
    outcome = separate(*ONE, "--json", "a.w64", "b.opus", "good.wav", "c.mp4", "z.wav")
    assert outcome.code == SOURCE
    told = json.loads(outcome.out)
    assert ["error" in one for one in told] == [True, True, False, True, False]
    assert (elsewhere / "separated/passthrough/z/vocals.wav").is_file()
    assert "Traceback" not in outcome.err


def test_what_should_not_happen_does_not_end_the_run(capsys: Any) -> None:
    def one(path: str) -> Mapping[str, object]:
        if path == "bad":
            raise IndexError("of some library")
        if path == "worse":
            raise SourceError("it is damaged")
        return {"source": path}

    outcomes, code = try_all(["a", "bad", "worse", "b"], one)
    assert code == 1
    assert [one["source"] for one in outcomes] == ["a", "bad", "worse", "b"]
    assert outcomes[1]["error"] == "this should not happen: IndexError: of some library"
    assert outcomes[2]["error"] == "it is damaged"
    assert capsys.readouterr().err.count("stemstream: ") == 2


# inputs that are damaged or odd


@pytest.mark.parametrize(
    ("kind", "subtype"), [("flac", "PCM_16"), ("mp3", "MPEG_LAYER_III"), ("wav", "PCM_16")]
)
def test_truncated(kind: str, subtype: str, separate: Run, song: Run, read: Read) -> None:
    path = song(f"song.{kind}", noise(200_000), subtype=subtype)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    outcome = separate(*ONE, path)
    assert f"song.{kind} is damaged or cut short" in outcome.notes
    assert 80_000 < len(read(path.parent / VOCALS)) < 120_000


def test_a_crashed_recording_is_told(separate: Run, song: Run, read: Read) -> None:
    path = song("song.wav", noise(50_000), subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = bytes(4)
    path.write_bytes(data)
    assert "states no length, as after a crash of its recorder" in separate(*ONE, path).notes
    assert len(read(path.parent / VOCALS)) == 50_000


def test_stream_of_a_film_is_separated_and_told(
    separate: Run, read: Read, ffmpeg: Callable[..., bytes], elsewhere: Path, song: Run
) -> None:
    inputs = [word for name in ("a.wav", "b.wav") for word in ("-i", song(name, noise(9_000)))]
    song("b.wav", noise(9_000) * 0)
    ffmpeg(*inputs, "-map", "0:a", "-map", "1:a", "-c:a", "flac", "song.mka")
    assert "number 1, the default one, is read" in separate(*ONE, "song.mka").notes
    assert read(elsewhere / VOCALS).any()
    again = separate(*ONE, "--overwrite", "--stream", "2", "song.mka")
    assert "number 2, the given one, is read" in again.notes
    assert not read(elsewhere / VOCALS).any()
    outcome = separate(*ONE, "--overwrite", "--stream", "3", "song.mka")
    assert outcome.code == SOURCE
    assert "stream=3 is not in song.mka, which has 2 of audio" in outcome.complaint


@pytest.mark.parametrize("frames", [0, 1, 2])
@pytest.mark.parametrize("samplerate", [44100, 48000])
def test_next_to_no_frames(
    frames: int, samplerate: int, separate: Run, song: Run, read: Read
) -> None:
    path = song(audio=noise(frames), samplerate=samplerate)
    assert separate(*ONE, path).notes == ""
    assert len(read(path.parent / VOCALS)) == frames
    assert soundfile.info(str(path.parent / VOCALS)).samplerate == samplerate


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus", "m4a", "stem.mp4"])
@pytest.mark.parametrize("frames", [0, 1])
def test_next_to_no_frames_in_every_format(
    kind: str, frames: int, separate: Run, song: Run, files: Run
) -> None:
    path = song(audio=noise(frames))
    outcome = separate("--format", kind, path)
    assert outcome.code == 0, outcome.err
    made = files(path.parent / "separated")
    assert len(made) == (1 if kind == "stem.mp4" else 4)
    assert all(name.endswith(f".{kind}") for name in made)


@pytest.mark.parametrize("normalize", ["rms", "track", "none"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_finite_numbers(
    bad: float, normalize: str, separate: Run, song: Run, read: Read
) -> None:
    audio = noise(20_000)
    audio[5_000:5_003] = bad
    outcome = separate(*ONE, "--normalize", normalize, song(audio=audio))
    assert "6 samples were no finite number" in outcome.notes
    wanted = np.where(np.isfinite(audio), audio, 0)
    assert np.abs(read(Path(VOCALS)) - wanted).max() < 1e-5


@pytest.mark.parametrize("normalize", ["rms", "track", "none"])
@pytest.mark.parametrize(
    "audio",
    [np.zeros((9_000, 2), "f4"), np.full((9_000, 2), 0.5, "f4"), noise(9_000) * 100],
    ids=["silence", "DC", "over full scale"],
)
def test_odd_levels(audio: Samples, normalize: str, separate: Run, song: Run, read: Read) -> None:
    assert separate(*ONE, "--normalize", normalize, song(audio=audio)).notes == ""
    assert np.abs(read(Path(VOCALS)) - audio).max() <= 1e-5 * max(1, np.abs(audio).max())


@pytest.mark.parametrize(
    "audio", [noise(50_000) * 0, noise(0), noise(1), noise(9_000)], ids=lambda audio: len(audio)
)
def test_no_loudness_to_change(audio: Samples, separate: Run, song: Run, read: Read) -> None:
    """BS.1770 measures none in silence, and none in less than 400 ms."""
    assert separate(*ONE, "--loudness", "-16", song(audio=audio)).notes == ""
    assert np.abs(read(Path(VOCALS)) - audio).max(initial=0) < 1e-5


def test_over_full_scale_is_bent_below_it(separate: Run, song: Run, read: Read) -> None:
    audio = noise(20_000) * 10
    assert separate("--stems", "vocals", "--float32", song(audio=audio)).code == 0
    bent = read(Path(VOCALS))
    assert np.abs(bent).max() <= 1
    quiet = np.abs(audio) < 0.5
    assert np.abs(bent - audio)[quiet].max() < 1e-5


@pytest.mark.parametrize(
    ("samplerate", "channels"), [(8_000, 1), (192_000, 2), (44_100, 1), (96_000, 1)]
)
def test_rates_and_channels(
    samplerate: int, channels: int, separate: Run, song: Run, read: Read
) -> None:
    time = np.arange(samplerate // 2)[:, None] / samplerate
    audio = np.repeat(0.3 * np.sin(2 * np.pi * 440 * time), channels, axis=1).astype("f4")
    assert separate(*ONE, song(audio=audio, samplerate=samplerate)).notes == ""
    stem = read(Path(VOCALS))
    assert stem.shape == audio.shape
    assert soundfile.info(VOCALS).samplerate == samplerate
    middle = slice(samplerate // 10, -samplerate // 10)
    assert np.abs(stem - audio)[middle].max() < 1e-3


def test_six_channels_are_downmixed(separate: Run, song: Run, read: Read) -> None:
    outcome = separate(*ONE, song(audio=noise(9_000, channels=6)))
    assert "6 channels are downmixed to stereo" in outcome.notes
    assert read(Path(VOCALS)).shape == (9_000, 2)


@pytest.mark.parametrize(
    "name", ["two words.wav", "Ünï 日本 🎵.wav", "a.b.c.wav", 'it\'s "it".wav', "#1 100%.wav"]
)
def test_names(name: str, separate: Run, song: Run, elsewhere: Path) -> None:
    assert separate(*ONE, song(name)).notes == ""
    folder = elsewhere / "separated/passthrough" / name.removesuffix(".wav")
    assert (folder / "vocals.wav").is_file()


def test_name_that_is_no_unicode(process: Run, ended: Run, song: Run, elsewhere: Path) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    try:
        song(name)
    except OSError:
        pytest.skip("this disk takes Unicode names alone")
    assert ended(process("separate", "-n", "passthrough", *ONE, "--json", name)).notes == ""
    assert (elsewhere / "separated/passthrough" / os.fsdecode(b"caf\xe9") / "vocals.wav").is_file()


def test_leading_dash(separate: Run, song: Run, files: Run, elsewhere: Path) -> None:
    song("-song.wav")
    song("--overlap.wav")
    assert separate(*ONE, "--", "-song.wav", "--overlap.wav").notes == ""
    made = {"passthrough/-song/vocals.wav", "passthrough/--overlap/vocals.wav"}
    assert files(elsewhere / "separated") == made


# outputs that cannot be written


def test_output_that_exists(separate: Run, song: Run, elsewhere: Path) -> None:
    file = elsewhere / VOCALS
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    outcome = separate(song())
    assert outcome.code == SINK
    assert "--overwrite replaces it" in outcome.complaint
    assert file.read_text() == "mine"
    assert [entry.name for entry in file.parent.iterdir()] == ["vocals.wav"]


def test_overwrite(separate: Run, song: Run, read: Read, elsewhere: Path) -> None:
    assert separate(*ONE, song(audio=noise(100))).code == 0
    assert separate(*ONE, "--overwrite", song(audio=noise(200))).notes == ""
    assert len(read(elsewhere / VOCALS)) == 200


def test_failed_overwrite_leaves_the_old_stems(separate: Run, song: Run, elsewhere: Path) -> None:
    assert separate(*ONE, song()).code == 0
    before = (elsewhere / VOCALS).read_bytes()
    (elsewhere / "song.wav").write_text("no longer a song")
    assert separate(*ONE, "--overwrite", "song.wav").code == SOURCE
    assert (elsewhere / VOCALS).read_bytes() == before


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus", "m4a", "stem.mp4"])
def test_full_disk(kind: str, separate: Run, song: Run, files: Run, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(900_000))
    outcome = separate("--format", kind, "-o", small_disk, song(audio=noise(120_000)))
    assert outcome.code == SINK
    assert "the disk is full" in outcome.complaint
    assert files(small_disk) == {"ballast"}


def test_full_disk_while_rescaling(separate: Run, song: Run, files: Run, small_disk: Path) -> None:
    path = song(audio=noise(120_000))
    outcome = separate("--clip-mode", "rescale", "-o", small_disk, path)
    assert outcome.code == SINK
    assert "the disk is full" in outcome.complaint
    assert files(small_disk) == set()


def test_read_only_disk(separate: Run, song: Run, read_only_disk: Path) -> None:
    outcome = separate("-o", read_only_disk, song())
    assert outcome.code == SINK
    assert "read-only" in outcome.complaint


def test_file_in_the_place_of_the_folder(separate: Run, song: Run, elsewhere: Path) -> None:
    (elsewhere / "separated").write_text("mine")
    outcome = separate(song())
    assert outcome.code == SINK
    assert "a file stands where its folder should be" in outcome.complaint
    assert (elsewhere / "separated").read_text() == "mine"


@pytest.mark.usefixtures("nothing_made")
def test_tracks_of_one_name(separate: Run, song: Run) -> None:
    outcome = separate(song("a/song.wav"), song("b/song.flac", subtype=None))
    assert outcome.code == SETTING
    assert "would both be written to" in outcome.complaint
    assert "{trackext}" in outcome.complaint


def test_the_way_out_of_one_name(separate: Run, song: Run, files: Run, elsewhere: Path) -> None:
    paths = song("a/song.wav"), song("b/song.flac", subtype=None)
    outcome = separate("--stems", "bass", "--filename", "{track}.{trackext}/{stem}.{ext}", *paths)
    assert outcome.code == 0, outcome.err
    made = {"passthrough/song.wav/bass.wav", "passthrough/song.flac/bass.wav"}
    assert files(elsewhere / "separated") == made


# settings


@pytest.mark.usefixtures("nothing_made")
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--overlap", "1.0"), "--overlap=1.0 must be between 0 and 0.99"),
        (("--overlap", "nan"), "--overlap=nan must be between 0 and 0.99"),
        (("--shifts", "-1"), "--shifts=-1 must be a whole number between 0 and 100"),
        (("--shifts", "1.5"), "--shifts=1.5 must be a whole number"),
        (("--segment", "0"), "--window=0 must be between 0.1 and 600"),
        (("--jobs", "-1"), "--jobs=-1 must be a whole number between 0 and 1024"),
        (("--clip-mode", "hard"), "--clip-mode=hard must be one of soft"),
        (("--preset", "BEST"), "--preset=BEST must be one of AUDIOPHILE"),
        (("--filename", "{track}"), "must hold {stem}"),
        (("--filename", "{nope}/{stem}"), "must hold {stem}"),
        (("--filename", "{stem:.0}x"), "must hold {stem}, whole"),
        (("--format", "stem.mp4", "--filename", "{stem}"), "must not hold {stem}"),
        (("--mp3", "--flac"), "exclude each other"),
        (("--overwrite", "--resume"), "give one of them"),
        (("--two-stems", "bass", "--stems", "bass"), "give one of them"),
        (("--two-stems", "kazoo"), "passthrough has no stem 'kazoo'; it has drums"),
        (("--format", "raw"), "give --out -"),
        (("--out", "-", "--format", "mp3"), "standard output takes format=wav or raw"),
        (("--out", "-", "--json"), "give one of them"),
        (("--out", "-", "--clip-mode", "rescale"), "try clip_mode=soft"),
        (("--out", "-", "second.wav"), "standard output takes one track"),
        (("--config", "none.toml"), "none.toml cannot be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_settings(flags: tuple[str, ...], said: str, separate: Run, song: Run) -> None:
    outcome = separate(*flags, song())
    assert outcome.code == SETTING
    assert said in outcome.complaint
    assert outcome.out == ""


@pytest.mark.usefixtures("nothing_made")
@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DEMUCS_OVERLAP", "0.9", "DEMUCS_OVERLAP=0.9 must be between 0.1 and 0.75"),
        ("DEMUCS_SHIFTS", "5", "DEMUCS_SHIFTS=5 must be a whole number between 0 and 4"),
        ("USE_FLOAT32", "perhaps", "USE_FLOAT32=perhaps must be true or false"),
        ("TORCH_NUM_THREADS", "0", "TORCH_NUM_THREADS=0 must be a whole number between 1 and 1024"),
    ],
)
def test_wrong_environment(
    variable: str, value: str, said: str, separate: Run, song: Run, monkeypatch: Any
) -> None:
    monkeypatch.setenv(variable, value)
    outcome = separate(song())
    assert outcome.code == SETTING
    assert said in outcome.complaint


@pytest.mark.usefixtures("nothing_made")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"overlap = ", "stemstream.toml is no valid TOML"),
        (b"overlap = 2", "stemstream.toml: overlap=2 must be between"),
        (b"overlapp = 0.2", "stemstream.toml: overlapp is no setting; try overlap"),
        (b"[table]\noverlap = 0.2", "stemstream.toml: table is no setting"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"trust_checkpoint = true", "trust_checkpoint may not be set by a file that only lies"),
    ],
)
def test_wrong_settings_file(
    content: bytes, said: str, separate: Run, song: Run, elsewhere: Path
) -> None:
    (elsewhere / "stemstream.toml").write_bytes(content)
    outcome = separate(song())
    assert outcome.code == SETTING
    assert said in outcome.complaint


class Harm:
    """Makes a file when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("harmed"),)


@pytest.mark.parametrize("command", ["separate", "plan", "eval", "train"])
def test_a_settings_file_in_the_folder_runs_no_code(
    command: str, stemstream: Run, song: Run, elsewhere: Path
) -> None:
    (elsewhere / "mine.th").write_bytes(pickle.dumps(Harm()))
    table = "[train]\n" if command == "train" else ""
    config = elsewhere / "stemstream.toml"
    config.write_text(f"{table}trust_checkpoint = true\nmodel = 'mine.th'\n")
    outcome = stemstream(command, *([str(song())] if command == "separate" else []))
    assert outcome.code == SETTING
    assert "give --config stemstream.toml if you trust the file" in outcome.complaint
    assert not (elsewhere / "harmed").exists()


# models


@pytest.mark.usefixtures("nothing_made")
def test_unknown_stem(separate: Run, song: Run) -> None:
    outcome = separate("--stems", "vocals,kazoo", song())
    assert outcome.code == SETTING
    assert "passthrough has no stem 'kazoo'; it has drums, bass, other, vocals" in outcome.complaint


@pytest.mark.usefixtures("nothing_made")
@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("htdemux", "did you mean htdemucs?"),
        ("htdemucs", "stemstream models download htdemucs"),
        ("htdemucs_quantized", "stemstream models download htdemucs"),
        ("hf://nobody/nothing", "nothing"),
        ("hf:///", "must be hf://"),
        ("none.safetensors", "there is no file none.safetensors"),
    ],
)
def test_models_that_cannot_be_had(model: str, said: str, separate: Run, song: Run) -> None:
    outcome = separate(song(), model=model)
    assert outcome.code == MODEL
    assert said in outcome.complaint


@pytest.mark.usefixtures("nothing_made")
@pytest.mark.parametrize("name", ["broken.safetensors", "broken.th"])
def test_corrupt_checkpoint(name: str, separate: Run, song: Run, elsewhere: Path) -> None:
    (elsewhere / name).write_bytes(b"no weights at all " * 100)
    outcome = separate("--trust-checkpoint", song(), model=name)
    assert outcome.code == MODEL
    assert "cannot be loaded as a checkpoint" in outcome.complaint


@pytest.mark.usefixtures("nothing_made")
def test_truncated_checkpoint(separate: Run, song: Run, repo: Path, elsewhere: Path) -> None:
    whole = (repo / "tiny.th").read_bytes()
    (elsewhere / "half.th").write_bytes(whole[: len(whole) // 2])
    outcome = separate("--trust-checkpoint", song(), model="half.th")
    assert outcome.code == MODEL
    assert "half.th" in outcome.complaint


@pytest.mark.usefixtures("nothing_made")
def test_pickle_without_trust(separate: Run, song: Run, repo: Path) -> None:
    outcome = separate("--repo", repo, song(), model="tiny")
    assert outcome.code == MODEL
    assert "--trust-checkpoint loads it" in outcome.complaint


@pytest.mark.usefixtures("nothing_made")
def test_model_that_the_folder_lacks(separate: Run, song: Run, repo: Path) -> None:
    outcome = separate("--repo", repo, song(), model="other")
    assert outcome.code == MODEL
    assert "it has tiny" in outcome.complaint


@pytest.mark.usefixtures("nothing_made")
def test_a_window_longer_than_the_model_takes(separate: Run, song: Run, repo: Path) -> None:
    trusted = ("--repo", repo, "--trust-checkpoint")
    outcome = separate(*trusted, "--segment", "100", song(), model="tiny")
    assert outcome.code == SETTING
    assert "window=100 must be at most 0.5 seconds for this model; try 0.5" in outcome.complaint


@pytest.mark.usefixtures("nothing_made")
def test_device_that_is_not_there(separate: Run, song: Run, repo: Path) -> None:
    outcome = separate("--repo", repo, "--trust-checkpoint", "-d", "cuda:99", song(), model="tiny")
    assert outcome.code == MODEL
    assert "cuda:99 is not on this machine" in outcome.complaint


def test_auto_falls_back_and_says_so(stemstream: Run, song: Run, elsewhere: Path) -> None:
    outcome = stemstream("separate", "--stems", "bass", song(audio=noise(1_000)))
    assert outcome.code == 0, outcome.err
    assert "so the smaller embedded mini_duo is used" in outcome.err
    assert (elsewhere / "separated/mini_duo/song/bass.wav").is_file()
