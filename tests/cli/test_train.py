"""`stemstream train` as a person runs it: what it says, refuses, writes, and how it stops."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from support.doubles import RATE, SOURCES, noise

from streamer.errors import SettingsError
from streamer.resolve import resolve
from streamer.train.settings import TrainSettings

SHORT = ("--window", 0.5, "--epochs", 1, "--epoch-steps", 2, "--workers", 0, "--bss-every", 0)


@pytest.fixture
def songs(song, elsewhere: Path) -> Path:
    """A folder of three songs."""
    for number in range(3):
        for kind, stem in enumerate(SOURCES):
            audio = 0.3 * noise(RATE, seed=10 * number + kind)
            song(f"songs/{number}/{stem}.wav", audio, samplerate=RATE)
    return elsewhere / "songs"


@pytest.fixture
def tiny(repo: Path) -> tuple[object, ...]:
    """The flags that name a small model."""
    return ("--model", "tiny", "--repo", repo, "--trust-checkpoint")


@pytest.fixture
def train(stemstream, songs, tiny):
    def run(*words):
        return stemstream("train", "--data", songs, *tiny, "--device", "cpu", *SHORT, *words)

    return run


def test_from_songs_to_stems(train, stemstream, songs, files):
    outcome = train("-o", "out")
    assert outcome.code == 0, outcome.err
    assert "2 songs to learn from" in outcome.err
    assert "1 epochs of 2 steps on 1 x cpu" in outcome.err
    assert "epoch 1, step 2: loss" in outcome.err
    assert "of it waiting for examples" in outcome.err
    assert {"drums", "bass", "other", "vocals", "mean"} <= set(outcome.out.split())
    made = files(Path("out"))
    assert {"model.safetensors", "model.th", "log.csv", "state.safetensors"} <= made
    separated = stemstream("separate", "-n", "out/model.safetensors", songs / "0/drums.wav")
    assert separated.code == 0, separated.err


def test_vocals_and_accompaniment_are_learnt_from_the_usual_stems(stemstream, songs):
    words = ("--model", "mini_vocals", "--device", "cpu", *SHORT, "-o", "out")
    outcome = stemstream("train", "--data", songs, *words)
    assert outcome.code == 0, outcome.err
    assert "without accompaniment" not in outcome.err
    assert "no song has" not in outcome.err
    assert {"vocals", "accompaniment", "mean"} <= set(outcome.out.split())


def test_resume_of_a_run_that_is_over(train):
    assert train().code == 0
    outcome = train("--resume")
    assert outcome.code == 0, outcome.err
    assert "from step 2 on" in outcome.err


def test_preview(train, files):
    outcome = train("--preview", "heard")
    assert outcome.code == 0, outcome.err
    made = files(Path("heard"))
    assert {"pitch/0/vocals.wav", "none/2/mixture.wav", "as-trained/1/bass.wav"} <= made
    assert "written to heard" in outcome.err


@pytest.fixture
def midway(until, songs, tiny):
    """A long training that has made steps, in a process group of its own."""
    words = ("train", "--data", songs, *tiny, "--device", "cpu", "--window", 0.5, "--batch", 1)
    more = ("--workers", 1, "--epochs", 1000, "--epoch-steps", 1, "--bss-every", 0, "-o", "out")
    run = subprocess.Popen(
        [sys.executable, "-c", "from cli.main import main; main()", *map(str, (*words, *more))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        log = Path("out/log.csv")
        until(lambda: run.poll() is not None or (log.exists() and log.read_text().count("\n") > 2))
        assert run.poll() is None, run.stderr.read()
        yield run
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.communicate()


@pytest.mark.parametrize(
    ("sent", "to"),
    [
        (signal.SIGINT, "the whole group"),
        (signal.SIGTERM, "the process"),
        (signal.SIGHUP, "the whole group"),
    ],
)
def test_a_signal_saves_and_says_how_to_go_on(sent, to, midway, ended):
    (os.killpg if to == "the whole group" else os.kill)(midway.pid, sent)
    outcome = ended(midway)
    assert outcome.code == 128 + sent
    assert "stopped and saved" in outcome.complaint
    assert "--resume goes on" in outcome.complaint
    assert "out/model.safetensors is the best so far" in outcome.complaint
    with safe_open("out/state.safetensors", "pt") as file:
        assert json.loads(file.metadata()["progress"])["step"] > 0
    assert not list(Path("out").glob("*.part"))


def test_a_worker_that_is_killed_is_one_sentence(midway, ended):
    children = Path(f"/proc/{midway.pid}/task/{midway.pid}/children")
    if not children.exists():
        pytest.skip("needs /proc to find the worker")
    for child in children.read_text().split():
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)
    outcome = ended(midway)
    assert outcome.code == 5
    assert "a process that makes examples was killed" in outcome.complaint
    assert "--resume, which goes on from the last epoch" in outcome.complaint


def test_two_processes_learn_what_one_does(train, songs, tiny):
    assert train("-o", "alone", "--batch", 4).code == 0
    command = shutil.which("stemstream", path=Path(sys.executable).parent)
    if command is None:
        pytest.skip("needs the installed command, which starts the second process")
    words = ("--data", songs, *tiny, "--device", "cpu", *SHORT, "--batch", 2, "--devices", 2)
    shared = (command, "train", *words, "-o", "shared", "--torch-num-threads", 1)
    outcome = subprocess.run([*map(str, shared)], capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stderr.count("2 songs to learn from") == 1
    logs = [
        list(csv.DictReader(Path(name, "log.csv").read_text().splitlines()))
        for name in ("alone", "shared")
    ]
    for row, other in zip(*logs, strict=True):
        assert float(row["sdr"]) == pytest.approx(float(other["sdr"]), abs=1e-3)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "data= must name a folder"),
        (("--data", "nowhere"), 3, "nowhere is no folder"),
        (("--data", "empty"), 3, "holds no song"),
        (("--data", "songs/0"), 2, "none is left to learn from"),
        (("--data", "songs", "--validation", "empty"), 3, "holds no song"),
        (("--data", "songs", "--mixing", "1,1"), 2, "must be 1 numbers"),
        (("--data", "songs", "--mixing", "a"), 2, "--mixing"),
        (("--data", "songs", "--batch", "0"), 2, "--batch=0 must be a whole number"),
        (("--data", "songs", "--no-augment", "--remix", "1"), 2, "--remix varies examples, and"),
        (("--data", "songs", "--remix", "2"), 2, "--remix=2 must be between 0 and 1"),
        (("--data", "songs", "--model", "htdemucs_ft"), 5, "bag of 4 networks"),
        (("--data", "songs", "--model", "no_such"), 5, "no model is named"),
        (("--data", "songs", "--model", "no.safetensors"), 5, "there is no file"),
        (("--data", "songs", "--device", "mps"), 5, "cannot be used here"),
        (("--data", "songs", "-o", "songs/0/bass.wav"), 4, "cannot be written"),
        (("--data", "songs", "--resume", "--overwrite"), 2, "give one of them"),
    ],
)
def test_bad_input(words, code, said, stemstream, songs, elsewhere):
    (elsewhere / "empty").mkdir()
    outcome = stemstream("train", *words)
    assert said in outcome.complaint
    assert outcome.code == code


def test_a_damaged_song(train, songs):
    (songs / "1/bass.wav").write_bytes(b"RIFF")
    outcome = train()
    assert "bass.wav" in outcome.complaint
    assert outcome.code == 3


def test_a_full_disk(train, small_disk):
    outcome = train("-o", small_disk / "out")
    assert "the disk is full" in outcome.complaint
    assert outcome.code == 4


def test_a_disk_that_fills_while_songs_are_decoded(
    process, ended, song, tiny, small_disk, elsewhere
):
    for number in range(2):
        for stem in SOURCES:
            song(f"long/{number}/{stem}.wav", 0.3 * noise(40 * RATE), samplerate=RATE)
    words = ("--data", elsewhere / "long", *tiny, "--device", "cpu", *SHORT)
    cache = small_disk / "cache"
    outcome = ended(process("train", *words, "-o", elsewhere / "out", "--cache", cache))
    assert outcome.code == 4, outcome.err
    assert "the disk is full" in outcome.err
    assert not list(cache.glob("*.part"))


def test_folders_whose_names_are_not_utf8(stemstream, songs, tiny, elsewhere):
    odd = songs.rename(elsewhere / os.fsdecode(b"caf\xe9"))
    words = ("train", "--data", odd, *tiny, "--device", "cpu", *SHORT)
    refused = stemstream(*words, "-o", odd / "out")
    assert (refused.code, "name another folder" in refused.complaint) == (2, True)
    assert stemstream(*words, "-o", "out").code == 0
    outcome = stemstream(*words, "-o", "out", "--resume")
    assert outcome.code == 0, outcome.err
    assert "from step 2 on" in outcome.err


# the settings ----------------------------------------------------------------------------------


def settings(config: Path | None = None, environ: Any = None, **flags: object) -> TrainSettings:
    return resolve(flags, environ or {}, config, kind=TrainSettings).settings


def test_defaults():
    assert settings() == TrainSettings()
    plain = TrainSettings()
    assert (plain.learning_rate, plain.batch, plain.window) == (3e-4, 4, 10)
    assert plain.augment


def test_a_file_and_flags_are_the_same_settings(elsewhere):
    config = elsewhere / "mine.toml"
    config.write_text(
        'model = "htdemucs_ft"\nwindow = 4\n[train]\ndata = ["a", "b"]\nmixing = [0.5, 0.5]\n'
        "learning_rate = 1e-3\naugment = false\n"
    )
    flags = {"data": ["a", "b"], "mixing": "0.5,0.5", "learning_rate": "1e-3", "augment": False}
    # what stands above the table is for separating
    assert settings(config) == settings(**flags)
    assert settings(config, batch=8).batch == 8


def test_what_is_for_separating_is_not_for_training(elsewhere):
    environ = {"DEMUCS_MODEL": "htdemucs_ft", "TORCH_NUM_THREADS": "1"}
    assert settings(None, environ) == TrainSettings()


def test_a_name_that_is_none(elsewhere):
    config = elsewhere / "mine.toml"
    config.write_text("[train]\nlearning_rat = 1\n")
    with pytest.raises(SettingsError, match=r"\[train\] learning_rat is no setting"):
        settings(config)
