"""Runs that are stopped, killed, gone on with, or meet in one folder.

The second song is a named pipe that the test writes to, so that a run is known to be in its midst.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from support.doubles import noise

from streamer.files.part import PartFile

Run = Callable[..., Any]
STEMS = ("bass.wav", "vocals.wav")
FLAGS = ("separate", "-n", "passthrough", "--stems", "bass,vocals", "--float32")
FRAMES = 400_000
HEAD_BYTES = 2_500_000
"""FFmpeg hears five seconds of a pipe before it says what is in it."""


def made(track: str) -> set[str]:
    return {f"{track}/{stem}" for stem in STEMS}


@pytest.fixture
def whole(song: Run) -> bytes:
    """The second song."""
    return song("source/b.wav", noise(FRAMES, seed=1)).read_bytes()


@pytest.fixture
def pipe(elsewhere: Path) -> Path:
    """A named pipe in its place."""
    path = elsewhere / "b.wav"
    os.mkfifo(path)
    return path


@pytest.fixture
def midway(
    process: Run, song: Run, whole: bytes, pipe: Path, elsewhere: Path, until: Run
) -> Iterator[tuple[Any, BinaryIO]]:
    """A run that has finished the first song and is in the midst of the second, and its pipe."""
    run = process(*FLAGS, song("a.wav"), pipe, song("c.wav"))
    with pipe.open("wb", buffering=0) as feeder:
        feeder.write(whole[:HEAD_BYTES])
        folder = elsewhere / "separated/passthrough/b"
        until(lambda: run.poll() is not None or len(list(folder.glob("*.part"))) == len(STEMS))
        assert run.poll() is None, run.stderr.read()
        yield run, feeder


def test_killed_and_resumed(
    midway: tuple[Any, BinaryIO],
    stemstream: Run,
    read: Run,
    files: Run,
    whole: bytes,
    pipe: Path,
    elsewhere: Path,
) -> None:
    run, feeder = midway
    run.kill()
    run.wait()
    feeder.close()
    folder = elsewhere / "separated/passthrough"
    assert files(folder / "a") == set(STEMS)
    left = files(folder / "b")
    assert len(left) == 2
    assert all(name.endswith(".part") for name in left)
    before = {name: (folder / name).stat().st_mtime_ns for name in made("a")}
    pipe.unlink()
    pipe.write_bytes(whole)
    outcome = stemstream(*FLAGS, "--resume", "a.wav", "b.wav", "c.wav")
    assert outcome.code == 0, outcome.err
    assert "a.wav: its stems are all there, left as they are" in outcome.err
    assert files(folder) == made("a") | made("b") | made("c")
    assert {name: (folder / name).stat().st_mtime_ns for name in made("a")} == before
    for stem in STEMS:
        assert np.abs(read(folder / "b" / stem) - noise(FRAMES, seed=1)).max() < 1e-5
    assert stemstream(*FLAGS, "--resume", "a.wav", "b.wav", "c.wav").err.count("left as they") == 3


def test_resume_makes_what_is_missing_and_keeps_an_edited_stem(
    stemstream: Run, song: Run, read: Run, elsewhere: Path
) -> None:
    assert stemstream(*FLAGS, song("a.wav", noise(500))).code == 0
    folder = elsewhere / "separated/passthrough/a"
    (folder / "vocals.wav").unlink()
    (folder / "bass.wav").write_bytes(b"edited")
    outcome = stemstream(*FLAGS, "--resume", "a.wav")
    assert "bass: left as found, since --resume replaces nothing" in outcome.notes
    assert (folder / "bass.wav").read_bytes() == b"edited"
    assert len(read(folder / "vocals.wav")) == 500


def test_resume_removes_what_a_killed_run_left_beside_a_finished_track(
    stemstream: Run, song: Run, files: Run, elsewhere: Path
) -> None:
    assert stemstream(*FLAGS, song("a.wav")).code == 0
    folder = elsewhere / "separated/passthrough/a"
    part = PartFile(folder / "bass.wav", overwrite=True)
    part.open()
    part.file.close()
    assert len(files(folder)) == 3
    assert stemstream(*FLAGS, "--resume", "a.wav").err.count("left as they") == 1
    assert files(folder) == set(STEMS)


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["Ctrl-C", "terminated", "terminal closed"],
)
def test_stopped(
    sent: signal.Signals,
    code: int,
    midway: tuple[Any, BinaryIO],
    ended: Run,
    files: Run,
    elsewhere: Path,
) -> None:
    run, _ = midway
    run.send_signal(sent)
    outcome = ended(run)
    assert outcome.code == code
    assert "Traceback" not in outcome.err
    assert files(elsewhere / "separated/passthrough") == made("a")
    if sent == signal.SIGINT:
        assert "--resume goes on" in outcome.complaint


def test_ctrl_c_again_and_again(
    midway: tuple[Any, BinaryIO], ended: Run, until: Run, files: Run, elsewhere: Path
) -> None:
    run, _ = midway

    def stopped() -> bool:
        run.send_signal(signal.SIGINT)
        return run.poll() is not None

    until(stopped)
    outcome = ended(run)
    assert outcome.code == 130
    assert "--resume goes on" in outcome.complaint
    assert files(elsewhere / "separated/passthrough") == made("a")


def test_two_runs_into_one_folder(
    midway: tuple[Any, BinaryIO],
    stemstream: Run,
    ended: Run,
    read: Run,
    files: Run,
    whole: bytes,
    elsewhere: Path,
) -> None:
    run, feeder = midway
    outcome = stemstream(*FLAGS, "--overwrite", elsewhere / "source/b.wav")
    assert outcome.code == 4
    assert "another run is writing" in outcome.complaint.lower()
    feeder.write(whole[HEAD_BYTES:])
    feeder.close()
    assert ended(run).code == 0
    folder = elsewhere / "separated/passthrough"
    assert files(folder) == made("a") | made("b") | made("c")
    for stem in STEMS:
        assert np.abs(read(folder / "b" / stem) - noise(FRAMES, seed=1)).max() < 1e-5
