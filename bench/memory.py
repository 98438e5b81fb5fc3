"""Peak memory, and time to the first separated audio, against the length of the music.

    python bench/memory.py [--minutes 1 2 5] [--hour] [--passthrough]

Both commands separate the same WAV files (tones in noise, 44.1 kHz stereo) with the embedded model,
no shifts, overlap 0.25. Peak memory is the process's largest resident set, as the kernel counts it.
The first audio is there when a stem's file first holds samples; it counts from the start of the
process. ``--hour`` adds an hour for stemstream alone; ``--passthrough`` has stemstream run a model
that does nothing, so that only what lies around a model is measured. Two minutes; all of
``--minutes 1 2 5 10 --hour`` take a quarter of an hour.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from whole_process import (
    Run,
    command,
    export_model,
    introduction,
    parser,
    run_command,
    table,
    write_noise,
)

HEADER_BYTES = 4096  # more than a WAV header, far less than a second of audio


def main() -> None:
    wish = _arguments()
    print(introduction("stemstream", "demucs", "torch"))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_model("mini", folder / "repo")
        commands = contestants(folder, wish)
        for minutes in [*wish.minutes, *([60] if wish.hour else [])]:
            song = folder / "song.wav"
            write_noise(60 * minutes, song)
            for who, words in commands.items():
                if minutes < 60 or who != "demucs":
                    rows.append(row(who, minutes, measured(words, song, folder / who, wish)))
                    print(f"{who}, {minutes:g} min: done", flush=True)
    head = ["command", "minutes", "peak MB", "first audio s", "whole s", "x real time"]
    print("\n" + table(head, sorted(rows, key=lambda cells: cells[0])))


def contestants(folder: Path, wish: argparse.Namespace) -> dict[str, list[str]]:
    """Return the commands, less their input; they write into folders of their names."""
    mini = ["-n", "mini", "--repo", str(folder / "repo")]
    same = ["--shifts", "0", "--overlap", "0.25", "-d", "cpu"]
    ours = ["-n", "passthrough"] if wish.passthrough else [*mini, "--trust-checkpoint"]
    return {
        "demucs": [command("demucs"), "-o", str(folder / "demucs"), *mini, *same],
        "stemstream": [
            command("stemstream"), "separate", "-o", str(folder / "stemstream"), *ours, *same,
        ],
    }  # fmt: skip


def measured(words: list[str], song: Path, out: Path, wish: argparse.Namespace) -> Run:
    """Run a command on a song, and take what it wrote away."""
    run = run_command(
        [*words, str(song)], threads=wish.threads, output=out, stem_bytes=HEADER_BYTES
    )
    shutil.rmtree(out)
    return run


def row(who: str, minutes: float, run: Run) -> list[str]:
    """Return a line of the table."""
    first = "-" if run.first_seconds is None else f"{run.first_seconds:.1f}"
    speed = f"{60 * minutes / run.seconds:.2f}"
    return [who, f"{minutes:g}", f"{run.peak_mb:.0f}", first, f"{run.seconds:.1f}", speed]


def _arguments() -> argparse.Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("--minutes", type=float, nargs="+", default=[1.0, 2.0, 5.0])
    arguments.add_argument("--hour", action="store_true")
    arguments.add_argument("--passthrough", action="store_true")
    arguments.add_argument("--threads", type=int, help="OpenMP threads of both; default: all")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
