"""`stemstream bench`: how fast the models are on this machine, and what delay they allow."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cli.terminal import print_whole, tell
from streamer.errors import ModelError, SettingsError
from streamer.files.part import refuse_unwritable

if TYPE_CHECKING:
    from streamer.benchmark.inference import Result

app = typer.Typer(
    help="Time the models on this machine: compute time, load, least delay, memory. Takes some "
    "minutes; leave the machine alone meanwhile.",
    invoke_without_command=True,
)

Out = Annotated[
    Path | None,
    typer.Option(
        "-o", "--out", help="write bench.json, bench.md, bench.png and bench.svg", metavar="FOLDER"
    ),
]
Models = Annotated[
    str | None,
    typer.Option(
        "--models",
        help="models to time, with commas \\[default: all that are here and can run live, and a "
        "random network of htdemucs's size]",
        metavar="MODELS",
        show_default=False,
    ),
]
Backends = Annotated[
    str | None,
    typer.Option(
        "--backends",
        help="what runs them, with commas, as the table names it \\[default: all]",
        metavar="BACKENDS",
        show_default=False,
    ),
]
Windows = Annotated[
    str | None,
    typer.Option(
        "--windows",
        help="window lengths in seconds, with commas \\[default: 1,2,4]",
        metavar="SECONDS",
        show_default=False,
    ),
]
Quick = Annotated[
    bool,
    typer.Option("--quick", help="windows of 2 s only, and no random network", metavar=""),
]
Fix = Annotated[
    bool,
    typer.Option(
        "--fix",
        help="measure only which backend is the fastest for each model, and keep that for good",
        metavar="",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="print the result as JSON on standard output", metavar="")
]


@app.callback()
def bench(
    context: typer.Context,
    *,
    models: Models = None,
    backends: Backends = None,
    windows: Windows = None,
    out: Out = None,
    quick: Quick = False,
    as_json: AsJson = False,
) -> None:
    """Run all parts, of which there is one: inference."""
    command = context.invoked_subcommand
    if command is None:
        _run(models, backends, windows, out, quick=quick, as_json=as_json)
    elif models or backends or windows or out or quick or as_json:
        raise SettingsError(f"flags of bench {command} stand behind {command}; move them there")


@app.command()
def inference(
    *,
    models: Models = None,
    backends: Backends = None,
    windows: Windows = None,
    out: Out = None,
    quick: Quick = False,
    fix: Fix = False,
    as_json: AsJson = False,
) -> None:
    """Time each model on each backend, with windows of several lengths."""
    if fix:
        others = {
            "--backends": backends,
            "--windows": windows,
            "--out": out,
            "--quick": quick,
        }
        _fix(models, others, as_json=as_json)
        return
    _run(models, backends, windows, out, quick=quick, as_json=as_json)


def _run(
    models: str | None,
    backends: str | None,
    windows: str | None,
    out: Path | None,
    *,
    quick: bool,
    as_json: bool,
) -> None:
    if quick and windows:
        raise SettingsError("--quick has windows of its own; leave out --windows or --quick")
    # imported here, since help and wrong flags need not wait for it
    from streamer.benchmark import inference as benchmark
    from streamer.benchmark import report as benchmark_report
    from streamer.models.choice import BACKENDS, backend_named
    from streamer.models.networks.random import RANDOM
    from streamer.models.weights.places import place_of

    usual = [name for name in benchmark.models_here() if not (quick and name == RANDOM)]
    names = _words(models) or usual
    backend_names = _words(backends) or [one.name for one in BACKENDS]
    for name in backend_names:
        backend_named(name)
    for name in names:
        if name != RANDOM:
            place_of(name)  # now, not in a process for each backend
    lengths = _lengths(windows) or (benchmark.QUICK_WINDOWS if quick else benchmark.WINDOWS)
    if out is not None:
        for name in benchmark_report.FILES:
            refuse_unwritable(out / name)
    results: list[benchmark.Result] = []
    for job in benchmark.jobs(names, backend_names, lengths):
        tell(f"{job.model}, {job.backend}")
        results += benchmark.run_apart(job)
    _show(results, as_json=as_json)
    if out is not None:
        files = benchmark_report.write(out, results)
        tell(f"written to {out}: {', '.join(file.name for file in files)}")
    if results and all(one.problem and one.p50_seconds is None for one in results):
        raise typer.Exit(ModelError.exit_code)


def _show(results: Sequence[Result], *, as_json: bool) -> None:
    # imported here, as in `_run`
    from streamer.benchmark import report

    if as_json:
        json.dump(report.as_json(results), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    else:
        table = Table(box=None)
        for number, name in enumerate(report.COLUMNS):
            table.add_column(name, justify="left" if number < 2 else "right", no_wrap=True)
        for result in results:
            table.add_row(*report.cells(result))
        print_whole(table)
    for note in report.notes(results):
        tell(note)


def _fix(models: str | None, others: Mapping[str, object], *, as_json: bool) -> None:
    for name, value in others.items():
        if value:
            raise SettingsError(f"--fix and {name} exclude each other; give one of them")
    # imported here, as in `_run`
    from streamer.benchmark.fixing import FixedChoice, fix, models_to_fix

    found: list[FixedChoice] = []
    for model in _words(models) or models_to_fix():
        tell(model)
        found += fix(model)
    if as_json:
        json.dump([asdict(one) for one in found], sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    table = Table("model", "windows", "at least", "runs on", "best window", box=None)
    for one in found:
        times = (f"{name} {1e3 * took:.0f} ms" for name, took in one.window_seconds.items())
        kind = "live" if one.live else "of files"
        table.add_row(one.model, kind, one.precision, one.backend, ", ".join(times))
    print_whole(table)
    tell("kept until this machine or a library changes; `--backend auto` goes by it")


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _lengths(text: str | None) -> tuple[float, ...]:
    lengths = []
    for word in _words(text):
        try:
            lengths.append(float(word))
        except ValueError:
            lengths.append(math.nan)
        if not 0 < lengths[-1] < math.inf:
            raise SettingsError(f"windows={text} must be seconds over 0, with commas; try 1,2,4")
    return tuple(lengths)
