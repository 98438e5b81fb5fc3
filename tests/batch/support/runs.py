"""A library of songs, the command that separates it, and what became of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from streamer.batch.manifest import State, read_manifest
from streamer.errors import SinkError
from streamer.files import Encoding, FileSink
from streamer.files.encode.file_sink import Format

RATE = 44100
PATIENCE_SECONDS = 120.0
PROGRAM = "import sys; from cli.main import main; sys.argv[0] = 'stemstream'; main()"


def make_library(
    folder: Path, good: int, bad: int, seed: int = 5, kinds: Sequence[Format] = ("wav",)
) -> Path:
    """Fill a folder with real and damaged songs of every length up to two seconds."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(good):
        frames = int(random.integers(1, 2 * RATE))
        noise = random.uniform(-0.5, 0.5, (frames, 2))
        kind = kinds[number % len(kinds)]
        with FileSink(folder / f"song{number:03}.{kind}", RATE, 2, Encoding(kind)) as sink:
            sink.write(noise.astype(np.float32))
            sink.commit()
    whole = (folder / f"song000.{kinds[0]}").read_bytes()
    for number in range(bad):
        damaged = [whole[:30], b"", random.bytes(5000), whole[:8] + random.bytes(4000), b"hi" * 900]
        (folder / f"bad{number:03}.wav").write_bytes(damaged[number % len(damaged)])
    return folder


def start(
    songs: str | Path, out: str | Path, *words: str, start_new_session: bool = False
) -> subprocess.Popen[str]:
    """Begin the command on a library."""
    command = [sys.executable, "-c", PROGRAM, "batch", str(songs), "-o", str(out)]
    command += ["-n", "passthrough", "--workers", "2", *words]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=start_new_session,
    )


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def count(job: Path, state: State = State.DONE) -> int:
    """How many songs of a job are in a state; none before there is a job."""
    try:
        return Counter(row.state for row in read_manifest(job).values())[state]
    except SinkError:
        return 0


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes of the workers, which Linux lists."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    commands = {}
    for pid in map(int, listed):
        try:
            commands[pid] = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
    return [pid for pid, command in commands.items() if b"spawn_main" in command]


def files(out: Path) -> dict[str, bytes]:
    found = (path for path in out.rglob("*") if path.is_file() and ".job" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in found}
