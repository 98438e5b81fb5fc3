"""Ctrl-C while files are opened: it may come between any two steps, and nothing is left behind."""

from __future__ import annotations

import contextlib
import gc
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.doubles import noise
from support.interrupts import Interrupted

from streamer.files import open_track
from streamer.files.decode.memory import MemorySource
from streamer.files.part import refuse_unwritable, write_whole
from streamer.settings import Settings


def parts(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if file.suffix == ".part"]


@pytest.mark.filterwarnings(
    "ignore"
)  # of files that nobody had yet, and that are closed as garbage
def test_ctrl_c_between_opening_a_part_file_and_knowing_of_it_leaves_none(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.wav" for name in ("bass", "vocals")}
    source = MemorySource("song", noise(10), 44100)
    settings = Settings(clip_mode="rescale")

    def open_both() -> None:
        with (
            contextlib.suppress(ZeroDivisionError),
            open_track(settings, source, 2, paths, list(paths)),
        ):
            sys.settrace(None)  # what comes after the opening is another matter
            raise ZeroDivisionError

    open_both()  # what is loaded once is loaded
    interrupted = Interrupted(open_both)
    for moment in itertools.count(1):
        if not interrupted.at(moment):
            break
        assert parts(tmp_path) == [], moment
    gc.collect()
    assert moment > 100


@pytest.mark.parametrize("write", [refuse_unwritable, lambda path: write_whole(path, "{}")])
def test_ctrl_c_while_a_report_is_opened_leaves_no_part_file(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    interrupted = Interrupted(lambda: write(tmp_path / "report.json"), only={"__init__", "open"})
    for moment in itertools.count(1):
        if not interrupted.at(moment):
            break
        assert parts(tmp_path) == [], moment
    assert moment > 10
