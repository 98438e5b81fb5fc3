"""The results of the benchmark as a table, JSON and a plot. The plot loads matplotlib."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamer.benchmark.inference import Result
from streamer.cache import machine
from streamer.files.part import sink_errors, write_whole
from streamer.models.networks.random import RANDOM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS: Final = (
    "model",
    "backend",
    "window",
    "p50",
    "p99",
    "RTF",
    "deviation",
    "hop",
    "load",
    "delay",
    "memory",
)
NOTES: Final = (
    "p50 and p99: compute time of a window; RTF: compute time of a second of window; hop: what a "
    "live run would choose, and load the part of the time that it would compute",
    "delay: the smallest --latency that can be promised with that window, at 512 frames a "
    "block and without the sound devices' own",
    "deviation: of the stems of the song that stempeg carries from those of torch in float32",
    "memory: the most that a process with this model and backend had held",
)
PROBLEM_LETTERS: Final = 60
FILES: Final = ("bench.json", "bench.md", "bench.png", "bench.svg")


def cells(result: Result) -> tuple[str, ...]:
    """Return a row of the table, one text for each of `COLUMNS`."""
    busy = "" if result.steady else " *"
    subject = _subject(result)
    if result.p50_seconds is None or result.p99_seconds is None or result.rtf is None:
        return (*subject, "failed", *("" for _ in COLUMNS[4:]))
    hop, load, delay = result.hop_seconds, result.load, result.least_delay_seconds
    memory = result.memory_bytes
    return (
        *subject,
        _milliseconds(result.p50_seconds),
        _milliseconds(result.p99_seconds) + busy,
        f"{result.rtf:.3f}",
        "" if result.deviation_db is None else f"{-result.deviation_db:.0f} dB",
        "too slow" if hop is None else _milliseconds(hop),
        "" if load is None else f"{load:.0%}",
        "" if delay is None else _milliseconds(delay),
        "" if memory is None else f"{memory / 1e6:.0f} MB",
    )


def _subject(result: Result) -> tuple[str, str, str]:
    return result.model, result.backend, f"{result.window_seconds:g} s"


def notes(results: Sequence[Result]) -> list[str]:
    """Return the notes below the table."""
    said = list(NOTES)
    if any(result.model == RANDOM for result in results):
        said.append(
            f"{RANDOM}: built as htdemucs is, with random weights, which do not change the times"
        )
    if not all(result.steady for result in results):
        said.append(
            "*: the machine was busy with something else; the p99, the hop and the delay are worse "
            "than they would be alone"
        )
    for result in results:
        if result.p50_seconds is None:
            said.append(f"{', '.join(_subject(result))}: {result.problem}")
    return said


def write(folder: Path, results: Sequence[Result]) -> list[Path]:
    """Write each of `FILES`; return where they are.

    Raises:
        SinkError: they cannot be written.
    """
    plain, table, *pictures = (folder / name for name in FILES)
    write_whole(plain, json.dumps(as_json(results), indent=2, allow_nan=False) + "\n")
    write_whole(table, _markdown(results))
    figure = plot(results)
    for picture in pictures:
        with sink_errors(picture):
            figure.savefig(picture, dpi=150)
    return [plain, table, *pictures]


def as_json(results: Sequence[Result]) -> dict[str, object]:
    """Return everything in JSON's types."""
    return {
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "inference": [asdict(result) for result in results],
    }


def _markdown(results: Sequence[Result]) -> str:
    rows = [cells(result) for result in results]
    lines = [
        f"# stemstream bench: {machine()}",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "| --- | --- |" + " ---: |" * (len(COLUMNS) - 2),
        *("| " + " | ".join(cell.replace("*", r"\*") for cell in row) + " |" for row in rows),
        "",
        *(f"- {note.replace('*', chr(92) + '*')}" for note in notes(results)),
        "",
        "![](bench.png)",
        "",
    ]
    return "\n".join(lines)


def plot(results: Sequence[Result]) -> Figure:
    """Return the compute times of a window, and the least delays, for each model and window."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from streamer.plots import STYLE

    groups = list(dict.fromkeys((result.model, result.window_seconds) for result in results))
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 1.6 + 0.55 * len(groups)), layout="constrained")
        times, delays = figure.subplots(1, 2, sharey=True)
        _bars(times, results, groups, ("p50_seconds", "p99_seconds"))
        _bars(delays, results, groups, ("least_delay_seconds", ""))
        times.plot(
            [1000 * seconds for _, seconds in groups],
            range(len(groups)),
            "|",
            color="#cf222e",
            ms=16,
            mew=2,
            label="the window itself",
        )
        times.set_xscale("log")
        times.set_xlabel("compute time of a window, ms (bar: p50, line: to p99)")
        delays.set_xlabel("least delay that can be promised, ms")
        times.set_yticks(range(len(groups)), [f"{name}, {window:g} s" for name, window in groups])
        times.invert_yaxis()
        handles, labels = times.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def _bars(
    axes: Axes,
    results: Sequence[Result],
    groups: Sequence[tuple[str, float]],
    fields: tuple[str, str],
) -> None:
    """Draw a bar for each result; the bars of a group lie one below the other."""
    from streamer.plots import AMBER, BLUE, GREEN, GREY, INK

    backends = list(dict.fromkeys(result.backend for result in results))
    colors = (BLUE, GREEN, AMBER, GREY)
    value_field, worst_field = fields
    named: set[str] = set()
    for place, group in enumerate(groups):
        mine = [one for one in results if (one.model, one.window_seconds) == group]
        height = 0.8 / len(mine)
        for number, result in enumerate(mine):
            row = place - 0.4 + height * (number + 0.5)
            value = getattr(result, value_field)
            if value is None:
                words = _short(result.problem)
                axes.annotate(
                    f" {words}", (0, row), xycoords=("axes fraction", "data"), va="center"
                )
                continue
            color = colors[backends.index(result.backend) % len(colors)]
            label = "" if result.backend in named else result.backend
            named.add(result.backend)
            axes.barh(row, 1000 * value, 0.9 * height, color=color, label=label)
            worst = getattr(result, worst_field) if worst_field else value
            axes.plot([1000 * value, 1000 * worst], [row, row], color=INK, lw=1)
            axes.annotate(
                _milliseconds(value),
                (1000 * worst, row),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.15)


def _milliseconds(seconds: float) -> str:
    value = 1000 * seconds
    return f"{value:.2f} ms" if value < 10 else f"{value:.0f} ms"


def _short(sentence: str) -> str:
    cut = len(sentence) > PROBLEM_LETTERS
    return f"{sentence[: PROBLEM_LETTERS - 3]}..." if cut else sentence
