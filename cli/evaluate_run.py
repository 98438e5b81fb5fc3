"""Evaluations, with what is shown and written of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from cli.garbage import collect_garbage
from cli.loading import load_model
from cli.terminal import complain, print_whole, tell
from streamer.errors import SettingsError, SinkError, SourceError
from streamer.evaluation import evaluate
from streamer.evaluation.bounds import BOUNDS
from streamer.evaluation.curve import Curve, trace
from streamer.evaluation.scores import SongScore, Summary, summarize
from streamer.evaluation.settings import EvalSettings
from streamer.files.part import refuse_unwritable, sink_errors, write_whole
from streamer.models.separator import Bag
from streamer.words import counted

COLUMNS = {
    "median_sdr_db": "SDR, median",
    "mdx_sdr_db": "SDR, MDX",
    "bss_sdr_db": "BSS SDR",
    "bss_sir_db": "BSS SIR",
    "bss_sar_db": "BSS SAR",
}


def show_scores(
    data: Path | None,
    reference: Path | None,
    estimate: Path | None,
    settings: EvalSettings,
    json_file: Path | None,
) -> int:
    """Score a model's stems, or files; print a table and write a JSON file.

    Return the exit code: that of the first song that cannot be read, if others can.
    """
    _refuse_unwritable(json_file)
    collect_garbage()
    judged = settings.model
    failed: list[SourceError] = []

    def skip(error: SourceError) -> None:
        complain(str(error))
        failed.append(error)

    if data is None:
        assert reference is not None
        assert estimate is not None
        songs = evaluate.of_files(reference, estimate, settings, _progress, skip)
        judged = str(estimate)
    elif judged in BOUNDS:
        songs = evaluate.with_bound(data, settings, _progress, skip)
    else:
        bag = _load(settings)
        songs = evaluate.with_model(data, settings, bag, _progress, skip)
        judged = bag.name
    if failed and not songs:
        return failed[0].exit_code
    summaries = summarize(songs)
    _print_scores(f"{judged}, {_how_much(songs)}; dB", summaries)
    if json_file is not None:
        of_songs = [asdict(song) for song in songs]
        of_stems = {name: asdict(one) for name, one in summaries.items()}
        _write_json(json_file, {"judged": judged, "stems": of_stems, "songs": of_songs})
    return failed[0].exit_code if failed else 0


def show_curve(
    data: Path, settings: EvalSettings, json_file: Path | None, plot: Path | None
) -> None:
    """Score live windows against the file run; print a table, write a JSON file and a plot."""
    collect_garbage()
    for path in (json_file, plot):
        _refuse_unwritable(path)
    if settings.model in BOUNDS:
        raise SettingsError(f"{settings.model} has no windows; --live needs a model's name")
    settings = settings.model_copy(update={"bss_eval": False})  # it would take hours
    curve = trace(data, settings, _load(settings), _progress)
    _print_curve(curve)
    if json_file is not None:
        points = [
            {**asdict(one), "delay_seconds": one.delay_seconds, "mean_sdr_db": one.mean_sdr_db}
            for one in curve.points
        ]
        _write_json(json_file, {**asdict(curve), "points": points})
    if plot is not None:
        from streamer.evaluation.curve_plot import write_plot

        with sink_errors(plot):
            write_plot(curve, plot)
        tell(f"written to {plot}")


def _load(settings: EvalSettings) -> Bag:
    bag = load_model(settings, ahead=True)
    if bag.note:
        tell(bag.note)
    return bag


def _progress(name: str, number: int, songs: int) -> None:
    tell(f"{number} of {songs}: {name}")


def _how_much(songs: Sequence[SongScore]) -> str:
    seconds = sum(song.seconds for song in songs)
    return f"{len(songs)} {'song' if len(songs) == 1 else 'songs'}, {seconds:.0f} s"


def _print_scores(title: str, summaries: Mapping[str, Summary]) -> None:
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("stem")
    shown = [
        name
        for name in COLUMNS
        if any(not math.isnan(getattr(s, name)) for s in summaries.values())
    ]
    for name in [*(COLUMNS[name] for name in shown), "songs"]:
        table.add_column(name, justify="right")
    for stem, summary in summaries.items():
        scored = "" if stem == "mean" else str(summary.songs)
        table.add_row(stem, *(_db(getattr(summary, name)) for name in shown), scored)
    print_whole(table)
    if "bss_sdr_db" in shown and "bss_sir_db" not in shown:
        tell("note: SIR and SAR need all stems of the mix; without --stems they are there")
    for stem, summary in summaries.items():
        if summary.silent and stem != "mean":
            tell(f"note: {stem} is silent in {counted(summary.silent, 'song')}, not scored there")


def _print_curve(curve: Curve) -> None:
    title = (
        f"{curve.model}, {counted(curve.songs, 'song')}, {curve.seconds:.0f} s; "
        "SDR in dB, medians over songs"
    )
    table = Table(title=title, title_justify="left", box=None)
    stems = list(curve.file_run)
    for name in ("window s", "hop s", "lookahead s", "delay s", "compute s", *stems):
        table.add_column(name, justify="right")
    whole = [_db(one.median_sdr_db) for one in curve.file_run.values()]
    table.add_row("file run", "", "", "", "", *whole)
    for point in curve.points:
        table.add_row(
            f"{point.window_seconds:g}",
            f"{point.hop_seconds:g}",
            f"{point.lookahead_seconds:g}",
            f"{point.delay_seconds:g}",
            f"{point.compute_seconds:.3f}",
            *(_db(point.stems[stem].median_sdr_db) for stem in stems),
        )
    print_whole(table)


def _db(value: float) -> str:
    return "" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"


def _refuse_unwritable(path: Path | None) -> None:
    """Refuse what cannot be written, before an hour of work."""
    if path is not None and not path.absolute().parent.is_dir():
        raise SinkError(f"{path} cannot be written: {path.parent} is no folder; make it first")
    if path is not None:
        refuse_unwritable(path)


def _write_json(path: Path, result: Mapping[str, object]) -> None:
    write_whole(path, json.dumps(_plain(result), indent=2, allow_nan=False) + "\n")
    tell(f"written to {path}")


def _plain(value: object) -> object:
    """Return a value in JSON's types: a ratio that there is not is null."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
