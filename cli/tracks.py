"""Tracks one after the other, each with a progress bar and a table."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cli.failures import tell_failure, unexpected
from cli.garbage import collect_garbage
from cli.report import plain, print_json, print_table
from cli.stops import asked
from cli.terminal import complain, progress_bar, tell
from streamer.engine import TrackReport, check_outputs, separate_track
from streamer.errors import StemstreamError
from streamer.files import Source
from streamer.models.separator import Bag
from streamer.settings import Settings


def separate_all(inputs: Sequence[str], settings: Settings, bag: Bag, *, as_json: bool) -> int:
    """Separate all tracks that can be; return the exit code (see `cli.main`).

    Raises:
        StemstreamError: nothing can be separated with these settings.
    """
    collect_garbage()
    if bag.note:
        tell(bag.note)
    check_outputs(inputs, settings, bag)
    outcomes, code = try_all(inputs, lambda path: plain(separate_shown(path, settings, bag)))
    if as_json:
        print_json(outcomes)
    return code


def try_all(
    inputs: Sequence[str], one: Callable[[str], Mapping[str, object]]
) -> tuple[list[Mapping[str, object]], int]:
    """Do one after the other, whatever becomes of the others; return outcomes and the exit code.

    The code tells of the first that failed; Ctrl-C ends the rest.
    """
    outcomes: list[Mapping[str, object]] = []
    code = 0
    try:
        for path in inputs:
            try:
                outcomes.append(one(path))
            except Exception as error:
                if asked and not isinstance(error, StemstreamError):
                    raise
                status = tell_failure(error)
                code = code or status
                told = str(error) if isinstance(error, StemstreamError) else unexpected(error)
                outcomes.append({"source": path, "error": told})
    except KeyboardInterrupt:
        complain("stopped; the tracks finished before are whole, and --resume goes on from them")
        code = 128 + signal.SIGINT
    return outcomes, code


def separate_shown(
    path: str, settings: Settings, bag: Bag, truth: Mapping[str, Source] | None = None
) -> TrackReport:
    """Separate one track with a progress bar, and print its table; see `separate_track`."""
    with progress_bar() as bar:
        task = bar.add_task(Path(path).name, total=None)
        report = separate_track(
            path,
            settings,
            bag,
            progress=lambda done, whole: bar.update(task, completed=done, total=whole),
            truth=truth,
        )
    print_table(report)
    return report
