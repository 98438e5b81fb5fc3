"""A live run as one page that needs no network. Loads matplotlib."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from streamer.live.telemetry import report_plots as plots
from streamer.live.telemetry.histogram import Histogram
from streamer.live.telemetry.latency import MEANINGS
from streamer.live.telemetry.verdict import (
    DRY_LIMIT,
    LOAD_LIMIT,
    LiveReport,
    Outcome,
    Verdict,
    inference_load,
    judge,
    milliseconds,
    over_promise,
    signed,
)

MOST_EVENTS: Final = 200

WORDS: Final = {
    "hop": "hop: new sound of a window",
    "lookahead": "lookahead: sound after it",
    "compute": "time for the model",
    "overhead": "handing over",
    "resampling": "conversion of the rate",
    "device_input": "input device",
    "device_output": "output device",
    "window_seconds": "window",
}
"""The names in a report's JSON that people say in other words."""

HEADLINES: Final = {
    Outcome.KEPT: ("kept", "&#10003;", "Promise kept"),
    Outcome.NARROW: ("narrow", "!", "Promise kept, but narrowly"),
    Outcome.BROKEN: ("broken", "&#10007;", "Promise broken"),
    Outcome.INTERRUPTED: ("narrow", "!", "There were interruptions"),
    Outcome.UNSTEADY: ("narrow", "!", "The delay was not constant"),
    Outcome.UNKNOWN: ("unknown", "?", "Nothing was measured"),
}

UNASKED: Final = {
    Outcome.KEPT: "Constant delay, no break",
    Outcome.NARROW: "Constant delay, no break, but narrowly",
}
"""The headlines where no promise was asked for."""

CSS: Final = """
:root { color-scheme: light; --ink: #24292f; --soft: #57606a; --line: #d0d7de; }
body { margin: 0 auto; padding: 1.2rem; max-width: 66rem; background: #fff; color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1rem; font-weight: 600; color: var(--soft); }
h2 { margin: 2rem 0 .4rem; font-size: 1.05rem; }
.verdict { display: flex; gap: 1.1rem; align-items: center; margin: .7rem 0 1.1rem;
  padding: 1rem 1.3rem; border-radius: 10px; color: #fff; }
.verdict .mark { font-size: 3rem; line-height: 1; font-weight: 700; }
.verdict strong { display: block; font-size: 1.7rem; line-height: 1.2; }
.verdict ul { margin: .2rem 0 0; padding: 0 0 0 1.1rem; }
.verdict p { margin: .2rem 0 0; }
.kept { background: #1a7f37; } .narrow { background: #9a6700; }
.broken { background: #cf222e; } .unknown { background: #57606a; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(13rem, 47%), 1fr));
  gap: .6rem; }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: .55rem .8rem; }
.tile b { display: block; font-size: 1.45rem; line-height: 1.3; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.tile span, .tile small { display: block; color: var(--soft); font-size: .82rem; }
.tile.bad { border-color: #cf222e; background: #ffebe9; } .tile.bad b { color: #cf222e; }
.tile.near { border-color: #bf8700; background: #fff8c5; } .tile.near b { color: #7d4e00; }
figure { margin: 0; } svg { width: 100%; height: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr));
  gap: 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .8rem .22rem 0; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
th { font-weight: 600; color: var(--soft); font-size: .85rem; }
td.text { color: var(--soft); min-width: 12rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) { body { padding: .7rem; } figure.wide svg { width: 42rem; } }
@media print { body { max-width: none; } .verdict, .tile { print-color-adjust: exact; } }
"""


def page(report: LiveReport) -> str:
    """Return the page: the verdict, the numbers, the plots, and what happened."""
    return "".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width">\n',
            f"<title>{judge(report).outcome}: {escape(report.status.model)}, live</title>\n",
            f"<style>{CSS}</style>\n</head>\n<body>\n",
            *_body(report),
            "</body>\n</html>\n",
        )
    )


def _body(report: LiveReport) -> Iterator[str]:
    started = f"{report.started:%Y-%m-%d %H:%M:%S}"
    yield f"<h1>stemstream live, {escape(report.status.model)}, {started}</h1>\n"
    yield _banner(judge(report), asked=report.promised_delay_seconds is not None)
    yield '<div class="tiles">\n' + "".join(_tiles(report)) + "</div>\n"
    if report.latency.delay.count:
        yield "<h2>Delay over time</h2>\n" + _figure(plots.delay_over_time(report), wide=True)
        yield '<div class="pair">\n<div>\n<h2>How constant it was</h2>\n'
        known = report.latency.deviation.count
        yield _figure(plots.deviation_histogram(report)) if known else "<p>not known</p>\n"
        yield "</div>\n<div>\n<h2>What the model needed</h2>\n"
        yield _figure(plots.inference_histogram(report)) + "</div>\n</div>\n"
        yield "<h2>Where the time goes</h2>\n"
        yield _figure(plots.stage_breakdown(report), wide=True)
        yield _stage_table(report)
    if report.planned_parts:
        yield "<h2>The announced delay, as planned</h2>\n"
        yield _pairs(
            (_in_words(name), milliseconds(value)) for name, value in report.planned_parts.items()
        )
    if report.events:
        yield "<h2>What happened</h2>\n" + _events(report)
    if report.settings:
        yield "<h2>Settings</h2>\n"
        yield _pairs(
            (_in_words(name), _setting(name, value)) for name, value in report.settings.items()
        )


def _banner(verdict: Verdict, *, asked: bool) -> str:
    look, mark, headline = HEADLINES[verdict.outcome]
    if not asked:
        headline = UNASKED.get(verdict.outcome, headline)
    if len(verdict.reasons) == 1:
        reasons = f"<p>{escape(verdict.reasons[0])}</p>"
    else:
        reasons = "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in verdict.reasons) + "</ul>"
    return (
        f'<div class="verdict {look}" role="status"><div class="mark">{mark}</div>'
        f"<div><strong>{headline}</strong>{reasons}</div></div>\n"
    )


def _tiles(report: LiveReport) -> Iterator[str]:
    status, latency = report.status, report.latency
    promised = report.promised_delay_seconds
    limit = "" if promised is None else f"promised: at most {milliseconds(promised)}"
    yield _tile(
        "announced delay", milliseconds(status.delay_seconds), limit, bad=over_promise(report)
    )
    low, high = (latency.deviation.percentile(percent) for percent in (0.5, 99.5))
    spread = f"99% within {signed(low)} to {signed(high)} ms" if latency.deviation.count else ""
    stray = max(-low, high) > report.tolerance_seconds
    yield _tile("measured delay", milliseconds(latency.delay.percentile(50)), spread, bad=stray)
    yield _tile("xruns", f"{status.xruns:,}", bad=status.xruns > 0)
    seconds = status.dropped_frames / max(status.samplerate, 1)
    lost = f"{seconds:.2f} s" if status.dropped_frames else ""
    yield _tile("dropped frames", f"{status.dropped_frames:,}", lost, bad=status.dropped_frames > 0)
    misses, share = status.deadline_misses, f"of {latency.windows:,} windows"
    yield _tile("missed windows", f"{misses:,}", share, bad=misses > 0)
    yield _tile(
        "without stems", f"{status.dry_share:.1%}", "of the time", bad=status.dry_share > DRY_LIMIT
    )
    away = "a device was away" if status.device_losses else ""
    yield _tile("device losses", f"{status.device_losses:,}", away, bad=status.device_losses > 0)
    load = inference_load(report)
    used = "" if math.isnan(load) else f"p99: {load:.0%} of a hop"
    yield _tile("real-time factor", f"{status.rtf:.2f}", used, near=load > LOAD_LIMIT)
    yield _tile("ran for", plots.clock(report.elapsed_seconds), f"at {status.samplerate:,} Hz")


def _tile(name: str, value: str, note: str = "", *, bad: bool = False, near: bool = False) -> str:
    look = " bad" if bad else " near" if near else ""
    return (
        f'<div class="tile{look}"><span>{name}</span><b>{escape(value)}</b>'
        f"<small>{escape(note)}</small></div>\n"
    )


def _stage_table(report: LiveReport) -> str:
    heads = ("stage, ms", "min", "mean", "p50", "p95", "p99", "p99.9", "max", "")
    rows = [
        (stage.value, *_numbers(times), MEANINGS[stage])
        for stage, times in report.latency.stages.items()
    ]
    rows.append(("delay", *_numbers(report.latency.delay), "all of them together"))
    return _table(heads, rows)


def _numbers(times: Histogram) -> list[str]:
    one = times.summary()
    values = (one.min, one.mean, one.p50, one.p95, one.p99, one.p99_9, one.max)
    return ["" if math.isnan(value) else f"{1000 * value:.2f}" for value in values]


def _events(report: LiveReport) -> str:
    shown = report.events[-MOST_EVENTS:]
    rows = [(plots.clock(event.seconds), event.text) for event in shown]
    hidden = len(report.events) - len(shown)
    note = f"<p>{hidden:,} earlier ones are not shown.</p>\n" if hidden else ""
    return note + _table(("time", "event"), rows)


def _in_words(name: str) -> str:
    return WORDS.get(name, name.replace("_", " "))


def _setting(name: str, value: str | float) -> str:
    """Return the value of a setting with its unit."""
    if name == "window_seconds":
        return f"{value} s" if value else "as long as the model wants it"
    return str(value)


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return _table((), list(pairs))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose last column is text, as is the first."""

    def line(cells: Sequence[str], tag: str) -> str:
        looks = [""] * (len(cells) - 1) + [' class="text"']
        inner = (
            f"<{tag}{look}>{escape(text)}</{tag}>" for look, text in zip(looks, cells, strict=True)
        )
        return f"<tr>{''.join(inner)}</tr>\n"

    head = line(heads, "th") if heads else ""
    body = "".join(line(row, "td") for row in rows)
    return f'<div class="wide"><table>\n{head}{body}</table></div>\n'


def _figure(svg: str, *, wide: bool = False) -> str:
    """Return a plot; a wide one is moved sideways on a phone, where it could not be read."""
    look = ' class="wide"' if wide else ""
    return f"<figure{look}>{svg}</figure>\n"
