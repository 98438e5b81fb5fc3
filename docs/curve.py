"""Draw SDR against delay: ``python docs/curve.py FOLDER`` (needs the extra ``train``).

FOLDER has the training split of the MUSDB18 7-second set. The middle of the nine songs that
`stemstream train` holds out is scored. ``evaluation-curve.svg`` shows the embedded models, and
what others report, of other songs and by another metric. The table is printed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from streamer.evaluation.curve import Curve, trace
from streamer.evaluation.settings import EvalSettings
from streamer.evaluation.songs import find_songs
from streamer.plots import BLUE, GREEN, INK, RED, STYLE
from streamer.processor import load_bag
from streamer.train.corpora import hold_out
from streamer.train.settings import TrainSettings

PICTURE = Path(__file__).with_name("evaluation-curve.svg")
MODELS = ("mini_duo", "rt_mini", "rt_mini_fast")
SECONDS = 2.8
"""Of 6.8 s: no window of 2 s has the silence before the song."""
WINDOWS, HOPS, LOOKAHEADS = (1.0, 2.0), (0.1, 0.4), (0.0, 0.1, 0.6)
"""What a model with windows is asked for, in seconds."""


@dataclass(frozen=True)
class Report:
    """What others say of a model: SDR on the test songs of MUSDB18 or MUSDB18-HQ, and its delay.

    ``source`` is where it says so. No delay: it hears the whole song first.
    """

    name: str
    delay_seconds: float | None
    sdr_db: float
    source: str


REPORTS = (
    Report("HS-TasNet", 0.023, 4.65, "arXiv:2402.17701"),
    Report("HS-TasNet, more songs", 0.023, 5.55, "arXiv:2402.17701"),
    Report("RT-STT", 0.023, 5.17, "arXiv:2511.13146"),
    Report("Band-SCNet", 0.092, 7.79, "doi:10.21437/Interspeech.2025-448"),
    Report("HTDemucs, 800 more songs", None, 9.00, "github.com/adefossez/demucs"),
)


LINES = ("o:", "s:", "o-", "s-")
OFFLINE_AT = 6.0
"""Where those stand that hear the whole song first, seconds."""


def main() -> None:
    """Score the models, print what they score, and draw it."""
    with _held_out(Path(sys.argv[1])) as folder:
        curves = [_curve(name, folder) for name in MODELS]
    for curve in curves:
        _print(curve)
    write(curves, PICTURE)


@contextmanager
def _held_out(data: Path) -> Iterator[Path]:
    """Give a folder of links to the songs that no embedded model learnt from."""
    share = TrainSettings.model_fields["held_out"].default
    with tempfile.TemporaryDirectory() as folder:
        for song in hold_out(find_songs(data), share)[1]:
            (Path(folder) / song.path.name).symlink_to(song.path.resolve())
        yield Path(folder)


def _curve(name: str, folder: Path) -> Curve:
    settings = EvalSettings(
        model=name,
        seconds=SECONDS,
        bss_eval=False,
        live=True,
        windows=WINDOWS,
        hops=HOPS,
        lookaheads=LOOKAHEADS,
    )
    return trace(folder, settings, load_bag(settings), lambda *_: None)


def _print(curve: Curve) -> None:
    """Print a row of the document's table for the file run, and one for each schedule."""
    rows = [("file run", "", "", "", curve.file_run)]
    rows += [
        (
            f"{point.window_seconds:g}" if len(curve.points) > 1 else "",
            f"{point.hop_seconds:.3g}",
            f"{point.lookahead_seconds:.3g}",
            f"{point.delay_seconds:.3g}",
            point.stems,
        )
        for point in curve.points
    ]
    for *plan, stems in rows:
        medians = [f"{one.median_sdr_db:.2f}" for one in stems.values()]
        cells = [curve.model, *plan, *medians, f"{stems['mean'].mdx_sdr_db:.2f}"]
        print(f"| {' | '.join(cells)} |")


def write(curves: Sequence[Curve], path: Path) -> None:
    """Write the picture; the same curves give the same bytes."""
    with rc_context({**STYLE, "svg.hashsalt": "curve"}):
        figure = Figure(figsize=(8, 5.2), layout="constrained")
        axes = figure.subplots()
        for curve, color in zip(curves, (BLUE, GREEN, RED), strict=True):
            _draw_ours(axes, curve, color)
        _draw_theirs(axes)
        axes.set_xscale("log")
        axes.set_xlim(0.002, 10)
        axes.set_ylim(0, 10)
        ticks = {0.003: "3 ms", 0.01: "10 ms", 0.03: "30 ms", 0.1: "0.1 s", 0.3: "0.3 s", 1: "1 s"}
        axes.set_xticks([*ticks, OFFLINE_AT], [*ticks.values(), "whole song"])
        axes.minorticks_off()
        axes.set_xlabel("delay, without the time to compute and the sound card's")
        axes.set_ylabel("SDR, dB")
        figure.legend(loc="outside lower center", ncols=2, fontsize=9)
        figure.savefig(path, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))


def _draw_ours(axes: Axes, curve: Curve, color: str) -> None:
    """Draw a line for each window and hop, and the file run of a model with windows."""
    plans = dict.fromkeys((point.window_seconds, point.hop_seconds) for point in curve.points)
    for number, (window, hop) in enumerate(plans):
        line = [
            (point.delay_seconds, point.mean_sdr_db)
            for point in curve.points
            if (point.window_seconds, point.hop_seconds) == (window, hop)
        ]
        label, style = curve.model, "o"
        if len(plans) > 1:
            label += f", window {window:g} s, hop {hop:g} s"
            style = LINES[number]
        axes.plot(*zip(*line, strict=True), style, color=color, ms=5, label=label)
    if len(plans) > 1:
        score = curve.file_run["mean"].median_sdr_db
        label = f"{curve.model}, file run"
        axes.plot(OFFLINE_AT, score, color=color, marker="*", ms=9, ls="", label=label)


def _draw_theirs(axes: Axes) -> None:
    places = [(report.delay_seconds or OFFLINE_AT, report.sdr_db) for report in REPORTS]
    label = "others: other songs, SDR as each defines it"
    axes.plot(*zip(*places, strict=True), "x", color=INK, ms=6, label=label)
    for report, place in zip(REPORTS, places, strict=True):
        left = report.delay_seconds is None
        axes.annotate(
            report.name,
            place,
            (-8 if left else 8, -3),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=9,
        )


if __name__ == "__main__":
    main()
