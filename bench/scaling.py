"""How the cost of `stemstream separate -n htdemucs_mini` grows, whole process.

    python bench/scaling.py [--only length,stems,...] [--rounds 3] [--out FOLDER]

| part | what grows |
| --- | --- |
| length | the track: time should be a line, memory flat |
| stems | the stems wanted, of a network that makes all four |
| threads | `--torch-num-threads` |
| files | files in one command, 20 s each |
| jobs | `--jobs`, windows at once |
| startup | nothing: one file of a second |

The song is that of the package stempeg, looped. All commands of a round are run in turn, in an
order that turns round every round; times are medians, with the least and the most. CPU is user and
system time of all threads. Each set of flags has run once before, so that backends are chosen and
graphs kept. ``--out`` writes scaling.json, scaling.md and scaling.svg. A quarter of an hour.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scaling_plot import plot
from whole_process import (
    Run,
    command,
    introduction,
    loop_song,
    markdown,
    parser,
    run_command,
    stempeg_song,
    take_turns,
)

from streamer.models.weights.registry import FOUR_STEMS

MODEL = "htdemucs_mini"
PARTS = ("length", "stems", "threads", "files", "jobs", "startup")
LENGTHS_SECONDS = (10.0, 30.0, 60.0, 120.0, 240.0)
FILE_SECONDS = 20.0
FULL_SECONDS = 30.0  # in shorter tracks not every buffer has been full
HEAD = ["what", "music s", "wall s", "from - to", "CPU s", "peak MB", "x real time"]


@dataclass(frozen=True)
class Case:
    """One command: how much there is of what a part lets grow, and the flags for it."""

    part: str
    count: float
    music_seconds: float
    files: int = 1
    flags: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What it is called in tables."""
        return f"{self.part}, {self.count:g}{' s' if self.part in ('length', 'startup') else ''}"


@dataclass(frozen=True)
class Measured:
    """What the runs of a case took, round by round."""

    case: Case
    runs: Sequence[Run]

    @property
    def seconds(self) -> float:
        """The median of the wall times."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak_mb(self) -> float:
        """The median of the peaks of memory."""
        return statistics.median(run.peak_mb for run in self.runs)


@dataclass(frozen=True)
class Growth:
    """The line through the times of tracks of several lengths, and the slope of their memory.

    ``mb_per_minute`` is that of tracks of `FULL_SECONDS` and more; None of fewer than two.
    """

    start_seconds: float
    seconds_per_minute: float
    residual_seconds: float
    mb_per_minute: float | None

    @classmethod
    def of(cls, tracks: Sequence[Measured]) -> Growth:
        """Return the least-squares fit."""
        minutes = np.array([one.case.music_seconds / 60 for one in tracks])
        walls = np.array([one.seconds for one in tracks])
        slope, start = np.polyfit(minutes, walls, 1)
        residual = np.abs(walls - (start + slope * minutes)).max()
        full = minutes >= FULL_SECONDS / 60
        peaks = np.array([one.peak_mb for one in tracks])
        memory = float(np.polyfit(minutes[full], peaks[full], 1)[0]) if full.sum() > 1 else None
        return cls(float(start), float(slope), float(residual), memory)

    def __str__(self) -> str:
        told = (
            f"A track takes {self.start_seconds:.2f} s and {self.seconds_per_minute:.2f} s for "
            f"each minute of music, {self.residual_seconds:.2f} s off at most."
        )
        if self.mb_per_minute is None:
            return told
        least = f"{FULL_SECONDS:g} s"
        return f"{told} From {least} on peak memory grows by {self.mb_per_minute:.1f} MB a minute."


def main() -> None:
    wish = _arguments()
    told = introduction("stemstream", "demucs", "torch", "openvino")
    print(told)
    chosen = [case for case in cases(wish.lengths, wish.seconds) if case.part in wish.only]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = {case: separate(case, folder) for case in chosen}
        for flags in dict.fromkeys(case.flags for case in chosen):
            run_command(separate(Case("startup", 1, 1, flags=flags), folder), threads=None)
        runs = take_turns({case.title: words[case] for case in chosen}, wish.rounds)
    measured = [Measured(case, runs[case.title]) for case in chosen]
    tracks = [one for one in measured if one.case.part == "length"]
    growth = Growth.of(tracks) if len(tracks) > 2 else None
    text = report(measured, growth)
    print(text)
    if wish.out:
        write(wish.out, told, text, measured, growth)


def cases(lengths_seconds: Sequence[float], seconds: float) -> Iterator[Case]:
    """Yield every command; ``seconds`` is the length where it is not what grows."""
    for length in lengths_seconds:
        yield Case("length", length, length)
    for count in (1, 2, 4):
        yield Case("stems", count, seconds, flags=("--stems", ",".join(FOUR_STEMS[-count:])))
    for count in (1, 2):
        yield Case("threads", count, seconds, flags=("--torch-num-threads", str(count)))
    for count in (1, 2, 4):
        yield Case("files", count, count * FILE_SECONDS, count)
    for count in (0, 1, 2):
        yield Case("jobs", count, seconds, flags=("--jobs", str(count)))
    yield Case("startup", 1, 1)


def separate(case: Case, folder: Path) -> list[str]:
    """Return the command; songs that are not there yet are written."""
    seconds = case.music_seconds / case.files
    songs = [folder / f"song-{seconds:g}s-{number}.wav" for number in range(case.files)]
    for song in songs:
        if not song.exists():
            loop_song(stempeg_song(), seconds, song)
    words = [command("stemstream"), "separate", *map(str, songs), "-n", MODEL, "-d", "cpu"]
    return [*words, *case.flags, "-o", str(folder / "separated"), "--overwrite"]


def report(measured: Sequence[Measured], growth: Growth | None) -> str:
    """Return the table, and what the track's length costs."""
    table = markdown(HEAD, [row(one) for one in measured])
    return f"{table}\n\n{growth}" if growth else table


def row(one: Measured) -> list[str]:
    """Return a line of the table."""
    walls = [run.seconds for run in one.runs]
    return [
        one.case.title,
        f"{one.case.music_seconds:g}",
        f"{one.seconds:.2f}",
        f"{min(walls):.2f} - {max(walls):.2f}",
        f"{statistics.median(run.cpu_seconds for run in one.runs):.1f}",
        f"{one.peak_mb:.0f}",
        f"{one.case.music_seconds / one.seconds:.1f}",
    ]


def write(
    folder: Path, told: str, text: str, measured: Sequence[Measured], growth: Growth | None
) -> None:
    """Write scaling.json, scaling.md and scaling.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {
        "introduction": told.splitlines(),
        "growth": asdict(growth) if growth else None,
        "measured": [asdict(one) for one in measured],
    }
    (folder / "scaling.json").write_text(json.dumps(plain, indent=1) + "\n", "utf-8")
    page = f"```\n{told}```\n\n{text}\n\n![](scaling.svg)\n"
    (folder / "scaling.md").write_text(page, "utf-8")
    (folder / "scaling.svg").write_text(plot(plain), "utf-8")


def _parts(words: str) -> list[str]:
    parts = words.split(",")
    for part in parts:
        if part not in PARTS:
            raise argparse.ArgumentTypeError(f"{part!r} is none of {', '.join(PARTS)}")
    return parts


def _arguments() -> argparse.Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("--only", type=_parts, default=PARTS, help="parts, with commas")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument(
        "--lengths", type=float, nargs="+", default=LENGTHS_SECONDS, help="of tracks, in seconds"
    )
    arguments.add_argument(
        "--seconds", type=float, default=60.0, help="of song for stems, threads and jobs"
    )
    arguments.add_argument("--out", type=Path, help="write scaling.json, .md and .svg here")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
