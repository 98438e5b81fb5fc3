"""What became of a track, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from cli.terminal import console, tell
from streamer.engine import TrackReport
from streamer.peak_memory import peak_memory_bytes


def print_table(report: TrackReport) -> None:
    """Print a track's stems and how long they took."""
    if report.skipped:
        tell(f"{Path(report.source).name}: its stems are all there, left as they are")
        return
    scored = any(stem.sdr_db is not None for stem in report.stems.values())
    folder = _folder(report.paths)
    into = f" into {folder}" if report.paths else ""
    title = f"{Path(report.source).name}, separated by {report.model}{into}"
    table = Table(title=title, title_justify="left")
    table.add_column("stem")
    table.add_column("peak dBFS", justify="right")
    table.add_column("RMS dBFS", justify="right")
    if scored:
        table.add_column("SDR dB", justify="right")
    table.add_column("file", overflow="fold")
    for name, stem in report.stems.items():
        cells = [name, _db(stem.peak_db), _db(stem.rms_db)]
        if scored:
            cells.append("" if stem.sdr_db is None else _db(stem.sdr_db))
        path = report.paths.get(name)
        table.add_row(*cells, os.path.relpath(path, folder) if path else "standard output")
    console.print(table)
    facts = [
        f"{report.seconds:.1f} s of music in {report.elapsed_seconds:.1f} s: "
        f"{report.speed:.1f}x real time",
        f"peak memory {peak_memory_bytes() / 1e6:.0f} MB",
    ]
    if report.residual_db is not None:
        facts.append(f"residual {_db(report.residual_db)} dB against the mix")
    tell(", ".join(facts))
    if report.project is not None:
        tell(f"project {report.project}")
    for note in report.notes:
        tell(f"note: {note}")


def print_json(outcomes: Sequence[Mapping[str, object]]) -> None:
    """Print what became of the tracks as a JSON list on standard output."""
    json.dump(outcomes, sys.stdout, indent=2)
    sys.stdout.write("\n")
    sys.stdout.flush()


def plain(report: TrackReport) -> Mapping[str, object]:
    """Return a report in JSON's types; what is no number is None."""
    return {
        "source": report.source,
        "model": report.model,
        "skipped": report.skipped,
        "samplerate": report.samplerate,
        "frames": report.frames,
        "elapsed_seconds": report.elapsed_seconds,
        "speed": report.speed,
        "peak_memory_mb": peak_memory_bytes() / 1e6,
        "residual_db": _finite(report.residual_db),
        "notes": list(report.notes),
        "project": str(report.project) if report.project is not None else None,
        "gain": report.gain,
        "stems": {
            name: {
                "path": str(report.paths[name]) if name in report.paths else None,
                "peak_db": _finite(stem.peak_db),
                "rms_db": _finite(stem.rms_db),
                "sdr_db": _finite(stem.sdr_db),
            }
            for name, stem in report.stems.items()
        },
    }


def _folder(paths: Mapping[str, Path]) -> str:
    """Return the folder that all of a track's files are in."""
    return os.path.commonpath([path.parent for path in paths.values()]) if paths else ""


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _db(value: float) -> str:
    return "silent" if value == -math.inf else f"{value:.1f}"
