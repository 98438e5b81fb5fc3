"""The plot of `scaling.py`: a small panel for each part. The same JSON gives the same SVG.

    python bench/scaling_plot.py FOLDER

draws scaling.json in a folder again.
"""

from __future__ import annotations

import io
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from whole_process import parser

from streamer.plots import AMBER, BLUE, GREEN, INK, STYLE

COLUMNS = 4
TICKS = 4
SMALL = {"font.size": 9, "font.sans-serif": ["DejaVu Sans"], "svg.hashsalt": "scaling"}
TITLES = {
    "stems": "stems wanted",
    "threads": "threads of the model",
    "files": "files in one command",
    "jobs": "windows at once (--jobs)",
    "startup": "start-up: a file of a second",
}

Plain = Mapping[str, Any]


def plot(plain: Plain) -> str:
    """Return what `scaling.py` found, as SVG."""
    parts: dict[str, list[Plain]] = {}
    for one in plain["measured"]:
        parts.setdefault(one["case"]["part"], []).append(one)
    panels = len(parts) + ("length" in parts)  # time and memory
    with rc_context({**STYLE, **SMALL}):
        lines = -(-panels // COLUMNS)
        figure = Figure(figsize=(11, 2.2 * lines), layout="constrained")
        grid = iter(figure.subplots(lines, COLUMNS, squeeze=False).flat)
        for part, measured in parts.items():
            if part == "length":
                _length(next(grid), measured, plain["growth"])
                _memory(next(grid), measured)
            else:
                _bars(next(grid), measured, TITLES[part])
        for left_over in grid:
            left_over.remove()
        return _svg(figure)


def _length(axes: Axes, tracks: Sequence[Plain], growth: Plain | None) -> None:
    minutes = [one["case"]["music_seconds"] / 60 for one in tracks]
    if growth:
        ends = [0, max(minutes)]
        line = [growth["start_seconds"] + growth["seconds_per_minute"] * end for end in ends]
        axes.plot(ends, line, color=INK, ls="--", lw=1)
        told = f"{growth['start_seconds']:.1f} s + {growth['seconds_per_minute']:.1f} s/min"
        axes.annotate(told, (0.04, 0.9), xycoords="axes fraction")
    _points(axes, minutes, [_values(one, "seconds") for one in tracks], BLUE)
    axes.set(xlabel="track, minutes", ylabel="wall time, s")


def _memory(axes: Axes, tracks: Sequence[Plain]) -> None:
    minutes = [one["case"]["music_seconds"] / 60 for one in tracks]
    _points(axes, minutes, [_values(one, "peak_mb") for one in tracks], GREEN)
    axes.set(xlabel="track, minutes", ylabel="peak memory, MB")


def _points(
    axes: Axes, minutes: Sequence[float], values: Sequence[Sequence[float]], color: str
) -> None:
    """Draw medians, and lines from the least to the most."""
    axes.plot(minutes, [statistics.median(some) for some in values], "o", color=color, ms=4)
    axes.vlines(minutes, [min(some) for some in values], [max(some) for some in values], color)
    axes.locator_params(nbins=TICKS)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.2 * max(map(max, values)))


def _bars(axes: Axes, measured: Sequence[Plain], title: str) -> None:
    """Draw wall time, with a line from the least to the most, and processor time beside it."""
    for place, one in enumerate(measured):
        walls = _values(one, "seconds")
        wall, cpu = statistics.median(walls), statistics.median(_values(one, "cpu_seconds"))
        axes.bar(place - 0.2, wall, 0.36, color=BLUE)
        axes.vlines(place - 0.2, min(walls), max(walls), INK, lw=1)
        axes.bar(place + 0.2, cpu, 0.36, color=AMBER)
    axes.locator_params("y", nbins=TICKS)
    axes.set_xticks(range(len(measured)), [f"{one['case']['count']:g}" for one in measured])
    axes.set_xlim(-0.6, max(1.6, len(measured) - 0.4))
    axes.grid(visible=False, axis="x")
    axes.set(xlabel=title, ylabel="s (blue: wall, amber: CPU)")


def _values(one: Plain, name: str) -> list[float]:
    return [run[name] for run in one["runs"]]


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    unsigned = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=unsigned)
    return text.getvalue()


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("folder", type=Path)
    folder = arguments.parse_args().folder
    plain = json.loads((folder / "scaling.json").read_text("utf-8"))
    (folder / "scaling.svg").write_text(plot(plain), "utf-8")


if __name__ == "__main__":
    main()
