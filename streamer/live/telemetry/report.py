"""What a live run measured, as JSON, as CSV, or as a page to look at, by the file's ending.

::

    check_report_path(path)                # before the run: a wrong ending should not show after it
    write_report(path, LiveReport(...))

The JSON begins with `announced_delay_seconds`, `samplerate`, `model`, `xruns`, `dropped_frames`,
`deadline_misses`, `rtf` and `stages`. The CSV holds the same in lines of ``name,value``, without
the timeline. The page tells first whether the promise was kept (`judge`), then why.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, TypeAlias

from streamer.errors import SettingsError
from streamer.files.part import refuse_unwritable, write_whole
from streamer.live.telemetry.histogram import Histogram
from streamer.live.telemetry.latency import TimelinePoint
from streamer.live.telemetry.verdict import Event, LiveReport, Outcome, Verdict, judge

__all__ = [
    "Event",
    "LiveReport",
    "Outcome",
    "Verdict",
    "check_report_path",
    "judge",
    "plain",
    "write_report",
]

Json: TypeAlias = "str | int | float | bool | Mapping[str, Json] | Sequence[Json] | None"

SUFFIXES: Final = (".json", ".csv", ".html")


def check_report_path(path: Path) -> None:
    """Refuse a file that `write_report` could not write.

    Raises:
        SettingsError: its ending is not one of those that are known.
        SinkError: it cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise SettingsError(f"report={path} must end in .json, .csv or .html; try report.html")
    refuse_unwritable(path)


def write_report(path: Path, report: LiveReport) -> None:
    """Write a report; a file that is there is replaced when the new one is whole.

    Raises:
        SettingsError: the path's ending is not one of those that are known.
        SinkError: it cannot be written.
    """
    check_report_path(path)
    suffix = path.suffix.lower()
    if suffix == ".html":
        from streamer.live.telemetry.report_page import page  # loads matplotlib

        text = page(report)
    else:
        text = _json(report) if suffix == ".json" else _csv(report)
    write_whole(path, text)


def plain(report: LiveReport) -> Mapping[str, Json]:
    """Return the report in JSON's types; what is not a finite number is None."""
    status, latency, verdict = report.status, report.latency, judge(report)
    values: dict[str, Json] = {
        "announced_delay_seconds": status.delay_seconds,
        "samplerate": status.samplerate,
        "model": status.model,
        "xruns": status.xruns,
        "dropped_frames": status.dropped_frames,
        "deadline_misses": status.deadline_misses,
        "rtf": status.rtf,
        "stages": {stage.value: _summary(times) for stage, times in latency.stages.items()},
        "promise": verdict.outcome.value,
        "promise_reasons": list(verdict.reasons),
        "promised_delay_seconds": report.promised_delay_seconds,
        "announced_delay_frames": status.delay_frames,
        "tolerance_seconds": report.tolerance_seconds,
        "delay": _summary(latency.delay),
        "deviation": _summary(latency.deviation),
        "windows": latency.windows,
        "gaps": status.device_losses,
        "played_frames": status.played_frames,
        "dry_frames": status.dry_frames,
        "dry_share": status.dry_share,
        "hop_seconds": report.hop_seconds,
        "engine": status.engine,
        "state": status.state.value,
        "reason": status.reason.value,
        "detail": status.detail,
        "rung": status.rung,
        "rung_name": status.rung_name,
        "song_seconds": status.song_seconds,
        "song_length_seconds": status.song_length_seconds,
        "started": report.started.isoformat(),
        "elapsed_seconds": report.elapsed_seconds,
        "planned_parts": dict(report.planned_parts),
        "settings": dict(report.settings),
        "events": [{"seconds": event.seconds, "text": event.text} for event in report.events],
        "timeline": [_point(point, status.samplerate) for point in latency.timeline.points()],
    }
    return {name: _finite(value) for name, value in values.items()}


def _json(report: LiveReport) -> str:
    return json.dumps(plain(report), indent=2, allow_nan=False) + "\n"


def _csv(report: LiveReport) -> str:
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(["name", "value"])
    for name, value in plain(report).items():
        if name != "timeline":
            lines.writerows(_flat(name, value))
    return text.getvalue()


def _flat(name: str, value: Json) -> Iterator[tuple[str, str | int | float]]:
    """Yield what is inside, by names joined with dots."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, inner in enumerate(value):
            yield from _flat(f"{name}.{index}", inner)
    else:
        yield name, "" if value is None else value


def _summary(histogram: Histogram) -> dict[str, Json]:
    values = asdict(histogram.summary())
    count: int = values.pop("count")
    return {"count": count} | {f"{name}_seconds": value for name, value in values.items()}


def _point(point: TimelinePoint, samplerate: int) -> dict[str, Json]:
    return {
        "seconds": point.start_frame / max(samplerate, 1),
        "windows": point.windows,
        "missed": point.missed,
        "announced_seconds": point.announced_seconds,
        "delay_min_seconds": point.delay_min_seconds,
        "delay_mean_seconds": point.delay_mean_seconds,
        "delay_max_seconds": point.delay_max_seconds,
        "stages": {stage.value: seconds for stage, seconds in point.stages.items()},
    }


def _finite(value: Json) -> Json:
    """Return the same, with None for what JSON has no number for."""
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
