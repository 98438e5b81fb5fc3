"""A job at the terminal: a bar of all its songs, what failed and why, and what it came to."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli.garbage import collect_garbage
from cli.terminal import complain, output, progress_of, tell
from streamer.batch.engine import Engine, Made, Worker
from streamer.batch.estimate import estimate
from streamer.batch.job import Job, made_before
from streamer.batch.local import LocalEngine, share_processors, workers_here
from streamer.batch.manifest import Manifest, Row, State, open_manifest, read_manifest
from streamer.batch.places import Place, place_of
from streamer.batch.ray_engine import RayEngine
from streamer.batch.settings import BatchSettings
from streamer.batch.songs import Song, find_songs
from streamer.batch.tally import Tally
from streamer.errors import SettingsError
from streamer.live.telemetry.metrics_server import MetricsServer
from streamer.naming import PIPE
from streamer.words import counted

MOST_SHOWN: Final = 20
"""How many failures the summary shows; the table has all."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. ``folder`` is the job's; ``out`` that of the settings, or an address."""

    inputs: tuple[str, ...]
    settings: BatchSettings
    folder: Path
    out: str
    as_json: bool


def run_batch(wish: Wish) -> int:
    """Do the job; return the exit code: 0, 1 where songs failed, 130 after Ctrl-C.

    Raises:
        StemstreamError: it cannot begin.
    """
    collect_garbage()  # over thousands of songs there is some
    songs, place = find_songs(_inputs(wish)), place_of(wish.out)
    began, code = time.monotonic(), 0
    with ExitStack() as stack:
        manifest = stack.enter_context(open_manifest(wish.folder))
        engine = _engine(wish.settings, len(songs))
        stack.callback(engine.close)
        job = _begin(wish, songs, manifest, engine, place)
        if job.kept:
            tell(f"{counted(job.kept, 'song')} of {len(job.rows):,} had their turn before")
        tally = Tally(job.rows.values(), lambda: job.in_hand, engine.workers)
        if wish.settings.metrics is not None:
            server = MetricsServer(tally, port=wish.settings.metrics, host=wish.settings.host)
            stack.enter_context(server)
            tell(f"metrics are at {server.url}")
        try:
            if job.waiting:
                _show(job, engine, tally, as_json=wish.as_json)
            else:
                job.remember()
        except KeyboardInterrupt:
            complain("stopped; run the same command again to go on")
            code = 128 + signal.SIGINT
    _summarize(job.rows.values(), time.monotonic() - began, as_json=wish.as_json)
    failed = any(row.state is State.FAILED for row in job.rows.values())
    return code or int(failed)


def _begin(
    wish: Wish, songs: Sequence[Song], manifest: Manifest, engine: Engine, place: Place
) -> Job:
    """Return the job; the engine has started, unless nothing is to be done."""
    known = made_before(manifest, wish.settings)
    job = _job(wish, songs, manifest, known, place) if known is not None else None
    if job is not None and not job.waiting:
        return job
    made = engine.start()
    if made.note:
        tell(made.note)
    return job if job is not None and made == known else _job(wish, songs, manifest, made, place)


def _job(wish: Wish, songs: Sequence[Song], manifest: Manifest, made: Made, place: Place) -> Job:
    return Job(
        songs,
        wish.settings,
        manifest,
        made=made,
        keep_folders=wish.settings.keep_folders,
        retry_failed=wish.settings.retry_failed,
        place=place,
    )


def _engine(settings: BatchSettings, songs: int) -> Engine:
    if settings.engine == "ray":
        return RayEngine(settings, settings.workers, settings.address)
    workers = min(settings.workers or workers_here(settings, songs), songs)
    return LocalEngine(share_processors(settings, workers), workers)


def _show(job: Job, engine: Engine, tally: Tally, *, as_json: bool) -> None:
    """Do the songs, with a bar that counts them; tell each that fails."""
    bar = progress_of(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[music]}"),
        TimeRemainingColumn(compact=True),
        disable=as_json and sys.stdout.isatty(),  # its lines would run into the bar
    )
    with bar:
        task = bar.add_task("songs", total=tally.left, music="")
        told: set[str] = set()
        for row in job.run(engine):
            tally.take(row)
            if row.state is State.FAILED:
                complain(f"{row.source}: {row.error}")
            notes = job.notes.pop(row.source, ())
            for note in notes:
                if note not in told:  # a library's songs are often alike
                    tell(f"{row.source}: {note}")
            told.update(notes)
            if as_json:
                _print_json(_plain(row) | {"notes": list(notes)})
            hours, failed = tally.music_seconds / 3600, tally.failed
            music = f"{hours:.1f} h of music, {tally.speed:.1f}x real time"
            bar.update(task, advance=1, music=f"{music}, {failed} failed" if failed else music)


def _summarize(rows: Iterable[Row], elapsed_seconds: float, *, as_json: bool) -> None:
    rows = list(rows)
    states = Counter(row.state for row in rows)
    if as_json:
        counts = {state.value: states[state] for state in State}
        _print_json({"songs": len(rows), **counts, "elapsed_seconds": elapsed_seconds})
    failed = [row for row in rows if row.state is State.FAILED]
    left = states[State.WAITING] + states[State.RUNNING]
    told = [f"{states[State.DONE]:,} of {counted(len(rows), 'song')} done"]
    told += [f"{len(failed):,} failed"] if failed else []
    told += [f"{left:,} left"] if left else []
    tell(f"{', '.join(told)}, in {_hours(elapsed_seconds)}")
    if failed:
        tell("songs that failed are tried again with --retry-failed, or when they have changed")


def show_status(folder: Path, *, as_json: bool) -> int:
    """Show how far a job is; return 1 where songs failed.

    Raises:
        SinkError: there is no job.
    """
    rows = list(read_manifest(folder).values())
    if as_json:
        for row in rows:
            _print_json(_plain(row))
    else:
        states = Counter(row.state for row in rows)
        table = Table("state", "songs", "music", box=None)
        for state in State:
            seconds = sum(row.seconds for row in rows if row.state is state)
            table.add_row(state.value, f"{states[state]:,}", _hours(seconds) if seconds else "")
        output.print(table)
        failed = [row for row in rows if row.state is State.FAILED]
        for row in failed[:MOST_SHOWN]:
            output.print(f"{row.source}: {row.error}", soft_wrap=True)
        if len(failed) > MOST_SHOWN:
            output.print(f"and {len(failed) - MOST_SHOWN:,} more; --status --json shows all")
    return int(any(row.state is State.FAILED for row in rows))


def estimate_batch(wish: Wish) -> int:
    """Show what a job will take; start nothing, and write no stem.

    Raises:
        StemstreamError: it could not begin.
    """
    songs, place = find_songs(_inputs(wish)), place_of(wish.out)
    workers = wish.settings.workers or workers_here(wish.settings, len(songs))
    with open_manifest(wish.folder) as manifest:
        made = made_before(manifest, wish.settings) or Worker(wish.settings).made
        job = _job(wish, songs, manifest, made, place)
    found = estimate(
        job.rows.values(), wish.settings, place, stems=len(made.stems), workers=workers
    )
    if wish.as_json:
        _print_json(asdict(found))
        return 0
    table = Table("to do", "", box=None)
    table.add_row("songs", f"{found.songs:,} of {len(job.rows):,}")
    table.add_row("music", _hours(found.seconds))
    unknown = "not known before a song is done"
    time_needed = unknown if found.elapsed_seconds is None else _hours(found.elapsed_seconds)
    table.add_row("time", time_needed)
    free = "" if found.free_bytes is None else f", {found.free_bytes / 1e9:.0f} GB are free"
    table.add_row("disk", f"{found.bytes / 1e9:.2f} GB{free}")
    if found.unread:
        table.add_row("unread", f"{counted(found.unread, 'song')} of unknown length")
    output.print(table)
    return 0


def _inputs(wish: Wish) -> tuple[str, ...]:
    if wish.settings.out == PIPE:
        raise SettingsError("--out - takes one song; give batch a folder")
    if not wish.inputs:
        raise SettingsError("INPUT is missing; name songs, folders or lists of songs")
    return wish.inputs


def _plain(row: Row) -> dict[str, object]:
    return asdict(row) | {"state": row.state.value, "outputs": list(row.outputs)}


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _hours(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours:,} h {rest // 60:02d} min" if hours else f"{rest // 60}:{rest % 60:02d} min"
