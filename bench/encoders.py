"""How long `stemstream separate` takes with each format, and how many processors it keeps busy.

    python bench/encoders.py [--song FILE] [--model passthrough] [--formats mp3,m4a] [--repeats 2]

Each run is a new process. With the model that separates nothing, what is left is decoding and
encoding: processors (CPU time over time) near their number means that the encoders work beside each
other. Without a song it makes 24 seconds of swelling noise.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

FORMATS = "wav,flac,ogg,opus,m4a,mp3,stem.mp4"
RATE = 44100
SECONDS = 24
PROGRAM = "import sys; sys.argv[0] = 'stemstream'; from cli.main import main; main()"


def main() -> None:
    wish = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        song = wish.song or _noise(Path(folder) / "song.wav")
        print(f"{os.cpu_count()} processors, {wish.model}, best of {wish.repeats}")
        print("| format | time | CPU time | processors |\n| --- | ---: | ---: | ---: |")
        for kind in wish.formats.split(","):
            runs = [_run(song, wish.model, kind, Path(folder) / "out") for _ in range(wish.repeats)]
            seconds, busy = min(runs)
            print(f"| {kind} | {seconds:.1f} s | {busy:.1f} s | {busy / seconds:.2f} |", flush=True)


def _run(song: Path, model: str, kind: str, out: Path) -> tuple[float, float]:
    words = ["separate", "-n", model, "--format", kind, "-o", str(out), "--overwrite", str(song)]
    before, began = _children_seconds(), time.perf_counter()
    subprocess.run([sys.executable, "-c", PROGRAM, *words], check=True, capture_output=True)
    return time.perf_counter() - began, _children_seconds() - before


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _noise(path: Path) -> Path:
    draw = np.random.default_rng(0)
    swell = 0.2 + 0.15 * np.sin(np.arange(SECONDS * RATE) / 20_000)
    sound = draw.standard_normal((SECONDS * RATE, 2)) * swell[:, None]
    soundfile.write(path, sound.clip(-0.9, 0.9), RATE)
    return path


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--song", type=Path)
    parser.add_argument("--model", default="passthrough")
    parser.add_argument("--formats", default=FORMATS)
    parser.add_argument("--repeats", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
