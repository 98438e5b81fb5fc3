"""Whole-process time of `demucs` against `stemstream separate`: same song, model and settings.

    python bench/throughput.py [--model mini] [--rounds 3] [--seconds 60] [--song FILE]

Both are started afresh for each run, turn about (A B B A A B ...), so that what else the machine
does weighs on both. The ratio is between the medians; a ratio over 1 means stemstream is faster.
"CPU" is user and system time of all threads. Both get the same file of weights (the embedded model,
or a random HTDemucs of 42 M parameters with ``--model full``), no shifts, track's normalization,
clip mode clamp and float WAV, so the files differ in rounding and in the precision that ours
computes in: it is said by how much. Some minutes; stemstream runs once before, to choose and keep
what it needs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from whole_process import (
    MODELS,
    Run,
    command,
    export_model,
    introduction,
    loop_song,
    parser,
    run_command,
    stempeg_song,
    table,
    take_turns,
)


def main() -> None:
    wish = _arguments()
    print(introduction("stemstream", "demucs", "torch"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_model(wish.model, folder / "repo")
        song = folder / "song.wav"
        loop_song(wish.song or stempeg_song(), wish.seconds, song)
        commands = contestants(folder, song, wish)
        # the first run of all chooses a backend and keeps its graph
        run_command(commands["stemstream"], threads=wish.threads)
        runs = take_turns(commands, wish.rounds, wish.threads)
        print(report(runs, wish.seconds))
        print(f"\n{difference(folder, wish.model)}")


def contestants(folder: Path, song: Path, wish: argparse.Namespace) -> dict[str, list[str]]:
    """Return the two commands, which write into folders of their names."""
    same = ["-n", wish.model, "--repo", str(folder / "repo"), "--shifts", "0"]
    same += [
        "--overlap",
        str(wish.overlap),
        "--clip-mode",
        "clamp",
        "--float32",
        "-d",
        wish.device,
        str(song),
    ]
    ours = ["--trust-checkpoint", "--normalize", "track", "--no-dither", "--overwrite"]
    ours += ["--backend", wish.backend, "--precision", wish.precision]
    return {
        "demucs": [command("demucs"), "-o", str(folder / "demucs"), *same],
        "stemstream": [
            command("stemstream"), "separate", "-o", str(folder / "stemstream"), *ours, *same,
        ],
    }  # fmt: skip


def report(runs: dict[str, list[Run]], music_seconds: float) -> str:
    """Return the table, and the ratio with its spread over the rounds."""
    rows = []
    for name, some in runs.items():
        walls = [run.seconds for run in some]
        median = statistics.median(walls)
        rows.append(
            [
                name,
                f"{median:.1f}",
                f"{min(walls):.1f} - {max(walls):.1f}",
                f"{music_seconds / median:.2f}",
                f"{statistics.median(run.cpu_seconds for run in some):.1f}",
                f"{max(run.peak_mb for run in some):.0f}",
            ]
        )
    head = ["command", "wall s", "from - to", "x real time", "CPU s", "peak MB"]
    pairs = list(zip(runs["demucs"], runs["stemstream"], strict=True))
    ratios = [theirs.seconds / ours.seconds for theirs, ours in pairs]
    ratio = statistics.median(run.seconds for run in runs["demucs"])
    ratio /= statistics.median(run.seconds for run in runs["stemstream"])
    return (
        f"\n{table(head, rows)}\n\nstemstream is {ratio:.2f} times as fast "
        f"(single rounds: {min(ratios):.2f} to {max(ratios):.2f})"
    )


def difference(folder: Path, model: str) -> str:
    """Return by how much the stems of the two differ."""
    theirs = sorted((folder / "demucs" / model / "song").glob("*.wav"))
    largest, energy, error = 0.0, 0.0, 0.0
    for path in theirs:
        a = soundfile.read(path)[0]
        b = soundfile.read(folder / "stemstream" / model / "song" / path.name)[0]
        largest = max(largest, float(np.abs(a - b).max()))
        energy += float(np.sum(a**2))
        error += float(np.sum((a - b) ** 2))
    deviation = 10 * np.log10(max(error, 1e-30) / energy)
    return (
        f"the stems deviate by {deviation:.0f} dB, by {largest * 2**15:.1f} steps of 16 bit at most"
    )


def _arguments() -> argparse.Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("--model", choices=MODELS, default="mini")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--song", type=Path, help="default: the song of the package stempeg")
    arguments.add_argument("--overlap", type=float, default=0.25)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--backend", default="auto", help="of stemstream")
    arguments.add_argument("--precision", default="float32", help="of stemstream")
    arguments.add_argument("--threads", type=int, help="OpenMP threads of both; default: all")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
