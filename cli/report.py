"""What became of a track, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import math
import resource
import sys
from collections.abc import Sequence

from rich.table import Table

from cli.terminal import console, tell
from streamer.engine import TrackReport


def peak_memory_mb() -> float:
    """Return the most memory that this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def print_table(report: TrackReport) -> None:
    """Print a track's stems and how long they took."""
    if report.skipped:
        tell(f"{report.source}: its stems are all there, left as they are")
        return
    scored = any(stem.sdr_db is not None for stem in report.stems.values())
    table = Table(title=f"{report.source} - {report.model}", title_justify="left")
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
        table.add_row(*cells, str(report.paths.get(name, "standard output")))
    console.print(table)
    facts = [
        f"{report.seconds:.1f} s of music in {report.elapsed_seconds:.1f} s: "
        f"{report.speed:.1f}x real time",
        f"peak memory {peak_memory_mb():.0f} MB",
    ]
    if report.residual_db is not None:
        facts.append(f"stems' sum against the mix {_db(report.residual_db)} dB")
    tell(", ".join(facts))
    for note in report.notes:
        tell(f"note: {note}")


def print_json(reports: Sequence[TrackReport]) -> None:
    """Print the reports as a JSON list on standard output; what is no number is null."""
    json.dump([_plain(report) for report in reports], sys.stdout, indent=2)
    sys.stdout.write("\n")


def _plain(report: TrackReport) -> dict[str, object]:
    return {
        "source": report.source,
        "model": report.model,
        "skipped": report.skipped,
        "samplerate": report.samplerate,
        "frames": report.frames,
        "elapsed_seconds": report.elapsed_seconds,
        "speed": report.speed,
        "peak_memory_mb": peak_memory_mb(),
        "residual_db": _finite(report.residual_db),
        "notes": list(report.notes),
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


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _db(value: float) -> str:
    return "silent" if value == -math.inf else f"{value:.1f}"
