"""The plots of a live run's page, each as the text of an SVG element. Loads matplotlib."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from streamer.live.telemetry.histogram import Histogram
from streamer.live.telemetry.latency import MEANINGS, Stage, TimelinePoint
from streamer.live.telemetry.verdict import LOAD_LIMIT, LiveReport
from streamer.plots import AMBER, BLUE, GREEN, INK, RED, STYLE


def delay_over_time(report: LiveReport) -> str:
    """Return the measured delay along the run, what was announced, and where it broke."""
    points, rate = report.latency.timeline.points(), report.latency.samplerate
    width = report.latency.timeline.point_frames
    with rc_context(STYLE):
        figure, axes = _figure(10, 3.4)
        _delay_curves(axes, _without_holes(points, width), rate, report)
        _breaks(axes, points, rate, report)
        axes.set_xlabel("time of the stream")
        axes.set_ylabel("delay, ms")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
        axes.xaxis.set_major_locator(MultipleLocator(_time_step(points, rate)))
        figure.legend(loc="outside upper center", ncols=4, fontsize=9)
        return _svg(figure, "delay")


def deviation_histogram(report: LiveReport) -> str:
    """Return how far the delay was from the announced one, and how often."""
    with rc_context(STYLE):
        figure, axes = _figure(4.9, 3)
        allowed = report.tolerance_seconds * 1000
        axes.axvspan(-allowed, allowed, color=GREEN, alpha=0.12, lw=0, label="allowed")
        _steps(axes, report.latency.deviation, BLUE)
        axes.set_yscale("symlog", linthresh=1)
        axes.set_xlabel("delay less the announced one, ms")
        axes.set_ylabel("windows")
        figure.legend(loc="outside upper center", fontsize=9)
        return _svg(figure, "deviation")


def inference_histogram(report: LiveReport) -> str:
    """Return how long the model took for a window, against the time between two windows."""
    with rc_context(STYLE):
        figure, axes = _figure(4.9, 3)
        _steps(axes, report.latency.stages[Stage.INFERENCE], BLUE)
        if report.hop_seconds:
            limit = 1000 * report.hop_seconds * LOAD_LIMIT
            axes.axvline(limit, color=AMBER, ls="--", lw=1.2, label=f"{LOAD_LIMIT:.0%} of a hop")
            axes.axvline(1000 * report.hop_seconds, color=RED, lw=1.4, label="a hop: the deadline")
            figure.legend(loc="outside upper center", ncols=2, fontsize=9)
        axes.set_yscale("symlog", linthresh=1)
        axes.set_xlim(left=0)
        axes.set_xlabel("time in the model, ms a window")
        axes.set_ylabel("windows")
        return _svg(figure, "inference")


def stage_breakdown(report: LiveReport) -> str:
    """Return the stages one after another, as a frame meets them, with how bad each can get."""
    with rc_context(STYLE):
        figure, axes = _figure(10, 2.9)
        begin = 0.0
        for row, (stage, times) in enumerate(report.latency.stages.items()):
            if not times.count:
                continue
            reserve = stage is Stage.PLAYBACK
            mean = 1000 * times.mean
            worst = 1000 * (times.min if reserve else times.percentile(99))
            color = GREEN if reserve else BLUE
            axes.barh(row, mean, left=begin, color=color, height=0.62)
            axes.plot([begin + mean, begin + worst], [row, row], color=INK, lw=1.2)
            text = f"{mean:.1f} ms ({'least' if reserve else 'p99'} {worst:.1f})"
            end = (begin + max(mean, worst), row)
            label = axes.annotate(text, end, (6, 0), textcoords="offset points", va="center")
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
            begin += mean
        axes.axvline(1000 * report.status.delay_seconds, color=INK, ls="--", lw=1)
        axes.set_yticks(range(len(Stage)), [f"{stage}" for stage in Stage])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, max(1.0, 1000 * report.status.delay_seconds, begin) * 1.25)
        axes.set_xlabel("ms since the converter took the frame (dashed: the announced delay)")
        return _svg(figure, "stages", "; ".join(f"{stage}: {MEANINGS[stage]}" for stage in Stage))


def clock(seconds: float) -> str:
    """Return a time of the stream as ``h:mm:ss``, or ``m:ss`` under an hour."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Figure, name: str, description: str = "") -> str:
    """Return a figure as an element that stands beside others in a page: its ids are its own."""
    text = io.StringIO()
    unsigned = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata=unsigned)
    svg = text.getvalue()
    svg = re.sub(r'id="([\w.]+_\d+)"', rf'id="{name}_\1"', svg[svg.index("<svg") :])
    title = f"<title>{description}</title>" if description else ""
    return svg.replace("<defs>", f"{title}<defs>", 1)


def _time_step(points: Sequence[TimelinePoint], rate: int) -> float:
    """Return the round time that divides the run into eight or fewer."""
    seconds = (points[-1].start_frame - points[0].start_frame) / rate
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)
    return next((step for step in steps if seconds <= 8 * step), 86400.0)


def _without_holes(points: Sequence[TimelinePoint], width: int) -> list[TimelinePoint | None]:
    """Return the points with a None wherever some of the run is missing, so that no line bridges
    it.
    """
    filled: list[TimelinePoint | None] = []
    for before, point in zip([None, *points], points, strict=False):
        if before and point.start_frame > before.start_frame + width:
            filled.append(None)
        filled.append(point)
    return filled


def _delay_curves(
    axes: Axes, points: Sequence[TimelinePoint | None], rate: int, report: LiveReport
) -> None:
    def column(name: str) -> list[float]:
        return [1000 * getattr(point, f"{name}_seconds") if point else math.nan for point in points]

    seconds = [point.start_frame / rate if point else math.nan for point in points]
    low, mean, high = column("delay_min"), column("delay_mean"), column("delay_max")
    announced, allowed = column("announced"), 1000 * report.tolerance_seconds
    under, over = [value - allowed for value in announced], [value + allowed for value in announced]
    few = "o" if len(points) < 40 else ""
    axes.fill_between(seconds, under, over, color=GREEN, alpha=0.13, lw=0, label="allowed")
    axes.fill_between(seconds, low, high, color=BLUE, alpha=0.3, lw=0, label="least to largest")
    axes.plot(seconds, mean, color=BLUE, lw=1.3, marker=few, ms=3, label="measured, mean")
    axes.plot(seconds, announced, color=INK, ls="--", lw=1, label="announced")
    bottom, top = scale((*low, *high, *under, *over), allowed)
    _beyond(axes, seconds, low, high, (bottom, top))
    promised = report.promised_delay_seconds
    if promised is not None and bottom - (top - bottom) < 1000 * promised < top + (top - bottom):
        axes.axhline(1000 * promised, color=RED, lw=1.2, label="promised at most")
        bottom, top = min(bottom, 1000 * promised), max(top, 1000 * promised + allowed)
    axes.set_ylim(bottom, top)


def scale(values: Sequence[float], allowed: float) -> tuple[float, float]:
    """Return the least and the largest value of a scale on which most of the values can be told.

    A few that are far from the others, by Tukey's outer fences, are left out. It is as high as
    twice what is allowed, so that a delay that is constant looks constant.
    """
    known = [value for value in values if math.isfinite(value)]
    first, third = np.quantile(known, (0.25, 0.75))
    fence = 3 * max(third - first, 2 * allowed)
    near = [value for value in known if first - fence <= value <= third + fence]
    return min(near) - allowed, max(near) + allowed


def _beyond(
    axes: Axes,
    seconds: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    limits: tuple[float, float],
) -> None:
    """Mark what is beyond the scale at its edge, and write the farthest value there."""
    bottom, top = limits
    above = [one for one in zip(seconds, high, strict=True) if one[1] > top]
    below = [one for one in zip(seconds, low, strict=True) if one[1] < bottom]
    along = axes.get_xaxis_transform()
    for found, farthest, marker, height in ((above, max, "^", 0.88), (below, min, "v", 0.12)):
        if not found:
            continue
        label = f"{'above' if found is above else 'below'} the scale"
        heights = [height] * len(found)
        axes.plot([at for at, _ in found], heights, marker, color=RED, transform=along, label=label)
        at, value = farthest(found, key=lambda one: one[1])
        axes.annotate(
            f"{value:.0f} ms",
            (at, height),
            xytext=(6, 0),
            xycoords=along,
            textcoords="offset points",
            va="center",
        )


def _breaks(axes: Axes, points: Sequence[TimelinePoint], rate: int, report: LiveReport) -> None:
    """Mark where windows were missed at the bottom, and events at the top."""
    along = axes.get_xaxis_transform()
    missed = [point.start_frame / rate for point in points if point.missed]
    events = [event.seconds for event in report.events]
    if missed:
        low = [0.04] * len(missed)
        axes.plot(missed, low, "|", color=RED, ms=9, transform=along, label="missed")
    if events:
        high = [0.96] * len(events)
        axes.plot(events, high, "v", color=AMBER, ms=6, transform=along, label="event, see below")


def _steps(axes: Axes, histogram: Histogram, color: str) -> None:
    bins = histogram.bins()
    if bins:
        edges = [1000 * low for low, _, _ in bins] + [1000 * bins[-1][1]]
        axes.stairs([count for _, _, count in bins], edges, fill=True, color=color, lw=0)
