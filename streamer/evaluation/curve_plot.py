"""The plot of SDR against delay. Loads matplotlib."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.figure import Figure

from streamer.evaluation.curve import Curve
from streamer.plots import AMBER, BLUE, GREEN, INK, RED, STYLE

LINES: Final = tuple(itertools.product(("-", "--", ":"), (BLUE, AMBER, GREEN, RED)))
"""How the lines of a window look."""
LEAST_SPAN_DB: Final = 2.0
"""The least height of the plot, so that inaudible differences look small."""
MARKS: Final = tuple(itertools.product(("full", "none"), ("o", "s", "^", "D", "v")))
"""How the points of a hop look."""


def write_plot(curve: Curve, path: Path) -> None:
    """Write the plot to a ``.svg`` or ``.png``; the same curve gives the same bytes.

    Raises:
        OSError: it cannot be written.
    """
    unsigned = {"Date": None} if path.suffix == ".svg" else None
    with rc_context({"svg.hashsalt": "curve", "svg.fonttype": "none"}):
        draw(curve).savefig(path, dpi=150, metadata=unsigned)


def draw(curve: Curve) -> Figure:
    """Return a line for each window and hop, over the lookahead, and one for the file run."""
    windows = sorted({one.window_seconds for one in curve.points})
    hops = sorted({one.hop_seconds for one in curve.points})
    with rc_context(STYLE):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
        file_run = curve.file_run["mean"].median_sdr_db
        axes.axhline(file_run, color=INK, ls="--", lw=1, label="file run")
        for (dashes, color), window in zip(itertools.cycle(LINES), windows, strict=False):
            for (fill, marker), hop in zip(itertools.cycle(MARKS), hops, strict=False):
                line = [
                    (one.delay_seconds, one.mean_sdr_db)
                    for one in curve.points
                    if (one.window_seconds, one.hop_seconds) == (window, hop)
                ]
                if line:
                    label = f"window {window:g} s, hop {hop:g} s"
                    axes.plot(
                        *zip(*sorted(line), strict=True),
                        color=color,
                        ls=dashes,
                        marker=marker,
                        fillstyle=fill,
                        ms=5,
                        label=label,
                    )
        axes.set_xlabel("delay (hop + lookahead), s; the time to compute comes on top")
        axes.set_ylabel("SDR, dB: mean of the stems' medians")
        axes.set_xlim(left=0)
        low, high = axes.get_ylim()
        spare = max(0.0, LEAST_SPAN_DB - (high - low)) / 2
        axes.set_ylim(low - spare, high + spare)
        figure.legend(loc="outside right upper", fontsize=9)
    return figure
