"""Many files: each way to do them, what a file costs beside its model, memory over 1,000 files.

    python bench/batch.py [files] [overhead] [memory] [--quick]

`files` separates the same songs (stretches of real music, no two alike) with the same model in
three ways: `stemstream batch`, a shell's loop over `stemstream separate`, and `demucs` with all
songs at once. Each starts afresh, turn about, with the settings of bench/throughput.py.

`overhead` has a model that does nothing, and tiny songs: what a file costs beside its model, by the
difference between few songs and many, for the local engine and for Ray. What is left is the start.

`memory` does 1,000 tiny songs and looks at the resident memory of the command and of its workers
after each hundred.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from whole_process import (
    RATE,
    Run,
    command,
    export_model,
    introduction,
    looped,
    markdown,
    parser,
    run_command,
    stempeg_song,
)

from streamer.files import open_source

WORKERS = 2
TINY_SECONDS = 0.2
LOOP = 'songs="$1"; shift; for song in "$songs"/*; do "$@" "$song" || exit 1; done'
DEMUCS = 'songs="$1"; shift; "$@" "$songs"/*'
TITLES = {
    "batch": "`stemstream batch songs/`",
    "loop": "`for f in songs/*; do stemstream separate $f; done`",
    "demucs": "`demucs songs/*`",
}


def main() -> None:
    wish = _arguments()
    print(introduction("stemstream", "demucs", "torch", "ray"))
    with tempfile.TemporaryDirectory() as name:
        for part in wish.parts or PARTS:
            folder = Path(name) / part
            folder.mkdir()
            print(f"{part}: {PARTS[part](folder, wish)}\n", flush=True)
            shutil.rmtree(folder)


def files(folder: Path, wish: argparse.Namespace) -> str:
    """Return a table of the three ways."""
    songs, seconds, rounds = (4, 8.0, 1) if wish.quick else (wish.songs, wish.seconds, wish.rounds)
    write_songs(folder / "songs", songs, seconds)
    export_model("mini", folder / "repo")
    commands = ways(folder)
    run_command(commands["batch"], threads=None)  # chooses a backend and keeps its graph
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for index in range(rounds):
        for name in list(commands)[:: 1 if index % 2 == 0 else -1]:
            shutil.rmtree(folder / name)
            (folder / name).mkdir()
            runs[name].append(run_command(commands[name], threads=None))
            told = f"round {index + 1}: {name} {runs[name][-1].seconds:.1f} s"
            print(told, file=sys.stderr, flush=True)
    rows = []
    for name, some in runs.items():
        wall = statistics.median(run.seconds for run in some)
        cells = [f"{wall:.1f}", f"{3600 * songs / wall:,.0f}", f"{songs * seconds / wall:.1f}"]
        cells += [f"{statistics.median(run.cpu_seconds for run in some):.0f}"]
        cells += [f"{max(run.peak_mb for run in some):.0f}"]
        rows.append([TITLES[name], *cells])
    head = ["way", "wall s", "files an hour", "x real time", "CPU s", "largest process MB"]
    return f"{songs} songs of {seconds:g} s, medians of {rounds}\n\n{markdown(head, rows)}"


def ways(folder: Path) -> dict[str, list[str]]:
    """Return the commands, which write into folders of their names."""
    songs = str(folder / "songs")
    same = ["-n", "mini", "--repo", str(folder / "repo"), "--shifts", "0", "--overlap", "0.25"]
    same += ["--clip-mode", "clamp", "--float32", "-d", "cpu"]
    ours = ["--trust-checkpoint", "--normalize", "track", "--no-dither"]
    out = {name: ["-o", str(folder / name)] for name in TITLES}
    for name in out:
        (folder / name).mkdir()
    stemstream, demucs = command("stemstream"), command("demucs")
    return {
        "batch": [stemstream, "batch", songs, *out["batch"], *ours, *same],
        "loop": [
            "sh", "-c", LOOP, "sh", songs,
            stemstream, "separate", *out["loop"], *ours, *same,
        ],
        "demucs": ["sh", "-c", DEMUCS, "sh", songs, demucs, *out["demucs"], *same],
    }  # fmt: skip


def write_songs(folder: Path, songs: int, seconds: float) -> None:
    """Write stretches of real music, no two alike: what is alike is separated once."""
    folder.mkdir()
    with open_source(stempeg_song()) as source:
        music, rate = looped(source, songs * seconds), source.samplerate
    for number, song in enumerate(np.array_split(music, songs)):
        soundfile.write(folder / f"{number:03}.wav", song * (1 - number / 1000), rate, "PCM_16")


def overhead(folder: Path, wish: argparse.Namespace) -> str:
    """Return a table of the engines: their start, and what a file costs."""
    few, many = (10, 40) if wish.quick else (50, 450)
    write_tiny(folder / "few", few)
    write_tiny(folder / "many", many)
    engines = ["local"] + ["ray"] * (importlib.util.find_spec("ray") is not None)
    rows = []
    for engine in engines:
        took = []
        for name in ("few", "many"):
            words = batch(folder / name, folder / f"{engine}-{name}", "--engine", engine)
            took.append(run_command(words, threads=None).seconds)
        a_file = (took[1] - took[0]) / (many - few)
        start = took[0] - few * a_file
        rows.append(
            [engine, *(f"{one:.1f}" for one in took), f"{start:.1f}", f"{1000 * a_file:.1f}"]
        )
    head = ["engine", f"{few} files s", f"{many} files s", "start s", "a file ms"]
    told = f"songs of {TINY_SECONDS} s, passthrough, {WORKERS} workers"
    return f"{told}\n\n{markdown(head, rows)}"


def memory(folder: Path, wish: argparse.Namespace) -> str:
    """Return a table of the resident memory after each part of the songs."""
    songs, step = (60, 10) if wish.quick else (1000, 100)
    write_tiny(folder / "songs", songs)
    words = [*batch(folder / "songs", folder / "out"), "--json"]
    rows = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for done, _line in enumerate(process.stdout, 1):
            if done % step == 0:
                workers = children(process.pid)
                rows.append([f"{done:,}", *(f"{resident_mb(pid):.1f}" for pid in workers)])
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} failed")
    head = ["songs done", "command MB", *(f"worker {number + 1} MB" for number in range(WORKERS))]
    return f"{songs:,} songs of {TINY_SECONDS} s, passthrough\n\n{markdown(head, rows)}"


def batch(songs: Path, out: Path, *words: str) -> list[str]:
    """Return a command that does tiny songs with a model that does nothing."""
    same = [command("stemstream"), "batch", str(songs), "-o", str(out), "-n", "passthrough"]
    return [*same, "--workers", str(WORKERS), *words]


def write_tiny(folder: Path, songs: int) -> None:
    """Write tiny songs of noise, no two alike."""
    folder.mkdir()
    random = np.random.default_rng(1)
    for number in range(songs):
        noise = random.uniform(-0.5, 0.5, (int(TINY_SECONDS * RATE), 2))
        soundfile.write(folder / f"{number:05}.wav", noise, RATE)


def children(pid: int) -> list[int]:
    """Return a process and its workers."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    spawned = [one for one in map(int, listed) if b"spawn_main" in command_line(one)]
    return [pid, *spawned]


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def resident_mb(pid: int) -> float:
    """Return what a process holds of the memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS"))
    return int(resident) / 1024


PARTS: dict[str, Callable[[Path, argparse.Namespace], str]] = {
    "files": files,
    "overhead": overhead,
    "memory": memory,
}


def _arguments() -> argparse.Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART")
    arguments.add_argument("--quick", action="store_true", help="few songs, to see that it runs")
    arguments.add_argument("--songs", type=int, default=12)
    arguments.add_argument("--seconds", type=float, default=20.0, help="of each song of `files`")
    arguments.add_argument("--rounds", type=int, default=2)
    return arguments.parse_args()


if __name__ == "__main__":
    main()
