"""The command line, run in this process or as one of its own, and songs made on the spot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from support.disks import mounted
from support.doubles import noise, tiny

from cli.main import run
from streamer.audio import Samples
from streamer.stop_signals import STOP_SIGNALS

DEADLINE_SECONDS = 60.0
SETTINGS = ("DEMUCS_MODEL", "DEMUCS_OVERLAP", "DEMUCS_SHIFTS", "USE_FLOAT32", "TORCH_NUM_THREADS")


@dataclass(frozen=True)
class Outcome:
    """What a run exited with, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one sentence that the run failed with."""
        lines = [line for line in self.err.splitlines() if line.startswith("stemstream: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert "should not happen" not in self.err
        assert self.code != 0
        return lines[0]

    @property
    def notes(self) -> str:
        """What a run that went well told besides."""
        assert self.code == 0, self.err
        assert "stemstream: " not in self.err
        return "\n".join(line for line in self.err.splitlines() if line.startswith("note: "))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, no settings and no weights from outside, and no network."""
    monkeypatch.chdir(tmp_path)
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    empty = tmp_path / "no weights"
    for name, value in {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_CACHE": str(empty),
        "TORCH_HOME": str(empty),
        "COLUMNS": "100",
        "TERM": "xterm",
    }.items():
        monkeypatch.setenv(name, value)
    # huggingface_hub reads its variable when it is imported, which it may long have been
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(empty))
    return tmp_path


@pytest.fixture
def stemstream(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Run the command in this process."""

    def call(*words: object) -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["stemstream", *map(str, words)])
        before = {sent: signal.getsignal(sent) for sent in STOP_SIGNALS}
        try:
            with pytest.raises(SystemExit) as ended:
                run()
        finally:
            for sent, handler in before.items():
                signal.signal(sent, handler)
        assert ended.value.code is None or isinstance(ended.value.code, int)
        return Outcome(ended.value.code or 0, *capsys.readouterr())

    return call


@pytest.fixture
def separate(stemstream: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Run `stemstream separate` with the model that costs nothing."""

    def call(*words: object, model: object = "passthrough") -> Outcome:
        return stemstream("separate", "-n", model, *words)

    return call


@pytest.fixture
def process() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the command as a process of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: object, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "from cli.main import main; main()", *map(str, words)]
        one = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # whoever started the tests may have had Ctrl-C ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()


@pytest.fixture
def ended() -> Callable[..., Outcome]:
    """Wait for a process to end."""

    def wait(one: subprocess.Popen[bytes]) -> Outcome:
        out, err = one.communicate(timeout=DEADLINE_SECONDS)
        return Outcome(one.returncode, out.decode(), err.decode())

    return wait


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait for something to become true."""

    def wait(true: Callable[[], object]) -> None:
        end = time.monotonic() + DEADLINE_SECONDS
        while not true():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.01)

    return wait


@pytest.fixture
def song(tmp_path: Path) -> Callable[..., Path]:
    """Write a song and return its file."""

    def write(
        name: str = "song.wav",
        audio: Samples | None = None,
        *,
        samplerate: int = 44100,
        subtype: str | None = "FLOAT",
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        audio = noise(20_000) if audio is None else audio
        soundfile.write(os.fsencode(path), audio, samplerate, subtype=subtype)
        return path

    return write


@pytest.fixture
def read() -> Callable[[Path], Samples]:
    """Read a file as float32 ``(frames, channels)``."""

    def load(path: Path) -> Samples:
        audio: Samples = soundfile.read(path, dtype="float32", always_2d=True)[0]
        assert np.isfinite(audio).all()
        return audio

    return load


@pytest.fixture
def files() -> Callable[[Path], set[str]]:
    """Every file under a folder, by its path in there."""

    def below(folder: Path) -> set[str]:
        return {str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir()}

    return below


@pytest.fixture(scope="session")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as for ``--repo``, with the model "tiny": a random network as a pickle, at 8 kHz."""
    folder = tmp_path_factory.mktemp("repo")
    network = tiny()
    args, kwargs = network._init_args_kwargs
    package = {"klass": type(network), "args": args, "kwargs": kwargs}
    torch.save({**package, "state": network.state_dict()}, folder / "tiny.th")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    with mounted(tmp_path, "size=1m") as disk:
        yield disk
