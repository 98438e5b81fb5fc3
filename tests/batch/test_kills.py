"""The command, ended in all ways: with kill -9 of a worker or of itself, with Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamer import separate
from streamer.batch.manifest import State, read_manifest
from streamer.errors import SinkError

RATE = 44100
GOOD, BAD = 32, 8
PATIENCE_SECONDS = 60.0
PROGRAM = "import sys; from cli.main import run; sys.argv[0] = 'stemstream'; run()"


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """Real and damaged songs of every length up to two seconds."""
    folder = tmp_path_factory.mktemp("library")
    random = np.random.default_rng(5)
    for number in range(GOOD):
        frames = int(random.integers(1, 2 * RATE))
        noise = random.uniform(-0.5, 0.5, (frames, 2))
        soundfile.write(folder / f"song{number:03}.wav", noise, RATE)
    for number in range(BAD):
        whole = (folder / f"song{number:03}.wav").read_bytes()
        damaged = [whole[:30], b"", random.bytes(5000), whole[:8] + random.bytes(4000)]
        (folder / f"bad{number:03}.wav").write_bytes(damaged[number % 4])
    return folder


def start(library: Path, out: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, "batch", str(library), "-o", str(out)]
    command += ["-n", "passthrough", "--workers", "2", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def count(out: Path, state: State = State.DONE) -> int:
    try:
        return Counter(row.state for row in read_manifest(out / ".job").values())[state]
    except SinkError:
        return 0


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in listed}
    return [pid for pid, command in commands.items() if b"spawn_main" in command]


def files(out: Path) -> dict[str, bytes]:
    found = (path for path in out.rglob("*") if path.is_file() and ".job" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in found}


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_after_any_kill_the_same_command_goes_on_to_the_same_bytes(library, tmp_path):
    out = tmp_path / "out"
    # the driver, in the middle of it; its workers end with it
    first = start(library, out)
    wait_until(lambda: count(out) >= 3)
    workers = workers_of(first)
    first.kill()
    first.communicate()
    wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers))
    # then a worker, which another one replaces
    second = start(library, out, "--json")
    done = count(out)
    wait_until(lambda: count(out) > done + 3 or second.poll() is not None)
    os.kill(workers_of(second)[0], signal.SIGKILL)
    lines, complaints = second.communicate(timeout=PATIENCE_SECONDS)
    assert second.returncode == 1, complaints  # of the damaged ones
    told = [json.loads(line) for line in lines.splitlines()]
    assert told[-1]["done"] == GOOD
    assert told[-1]["failed"] == BAD
    failed = {Path(one["source"]).name for one in told[:-1] if one["state"] == "failed"}
    assert failed <= {f"bad{number:03}.wav" for number in range(BAD)}
    good = sorted(library.glob("song*.wav"))
    separate(good, model="passthrough", out=tmp_path / "alone")
    assert files(out) == files(tmp_path / "alone")


def test_ctrl_c_ends_it_and_leaves_nothing_half_written(library, tmp_path):
    run = start(library, tmp_path)
    wait_until(lambda: count(tmp_path) >= 3)
    run.send_signal(signal.SIGINT)
    _, complaints = run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == 130
    assert "run the same command again" in complaints
    assert "Traceback" not in complaints
    assert not list(tmp_path.rglob("*.part"))
    stems = Counter(path.parent.name for path in tmp_path.rglob("*.wav"))
    assert set(stems.values()) == {4}
