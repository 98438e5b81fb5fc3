"""The command, ended in all ways: with kill -9 of workers or of itself, with Ctrl-C.

`SONGS=200 python -m pytest tests/batch/test_kills.py` does it with more songs, and more kills.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from batch.support.runs import (
    PATIENCE_SECONDS,
    count,
    files,
    make_library,
    start,
    wait_until,
    workers_of,
)
from batch.support.scrapes import scrape

from streamer import separate
from streamer.batch.manifest import State, read_manifest
from streamer.files.encode.file_sink import Format

SONGS = int(os.environ.get("SONGS", "40"))
BAD = SONGS // 5
GOOD = SONGS - BAD
KILLS = SONGS // 20
KINDS: tuple[Format, ...] = ("wav", "flac", "wav", "mp3", "wav", "m4a", "wav", "ogg")
LONGEST_WAIT_SECONDS = 0.05
in_proc = pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    return make_library(tmp_path_factory.mktemp("library"), GOOD, BAD, kinds=KINDS)


@pytest.fixture(scope="module")
def undisturbed(library, tmp_path_factory) -> dict[str, bytes]:
    """The stems of the good songs, as `separate` makes them."""
    out = tmp_path_factory.mktemp("alone")
    separate(sorted(library.glob("song*")), model="passthrough", out=out)
    return files(out)


def at_a_moment(random: np.random.Generator, out: Path, run) -> None:
    """Wait until a few more songs are done, and a moment longer."""
    wanted = count(out / ".job") + int(random.integers(0, 8))
    wait_until(lambda: count(out / ".job") >= wanted or run.poll() is not None)
    time.sleep(random.uniform(0, LONGEST_WAIT_SECONDS))


@in_proc
@pytest.mark.parametrize("seed", [2])
def test_after_kills_at_any_moments_the_same_command_goes_on_to_the_same_bytes(
    seed, library, undisturbed, tmp_path
):
    random, out = np.random.default_rng(seed), tmp_path / "out"
    # the driver, at its start-up or in the middle; its workers end with it
    run = start(library, out)
    at_a_moment(random, out, run)
    workers = workers_of(run)
    run.kill()
    run.communicate()
    wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers))
    # then workers, which others replace
    run = start(library, out, "--json")
    killed = 0
    while killed < KILLS and run.poll() is None:
        at_a_moment(random, out, run)
        for pid in workers_of(run)[:1] if count(out / ".job", State.RUNNING) else []:
            os.kill(pid, signal.SIGKILL)
            killed += 1
    lines, complaints = run.communicate(timeout=PATIENCE_SECONDS)
    assert killed
    assert run.returncode == 1, complaints  # of the damaged ones
    told = [json.loads(line) for line in lines.splitlines()]
    assert told[-1]["done"] == GOOD, complaints
    assert told[-1]["failed"] == BAD
    rows = read_manifest(out / ".job").values()
    failed = {Path(row.source).name: row.error for row in rows if row.state is State.FAILED}
    assert set(failed) == {f"bad{number:03}.wav" for number in range(BAD)}
    assert all(failed.values())
    assert files(out) == undisturbed


@in_proc
def test_ctrl_c_while_the_workers_still_begin_shows_no_traceback(library, tmp_path):
    run = start(library, tmp_path, start_new_session=True)
    wait_until(lambda: len(workers_of(run)) == 2)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, complaints = run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == 130, complaints
    assert "Traceback" not in complaints


def test_ctrl_c_ends_it_and_leaves_nothing_half_written_and_metrics_are_served(library, tmp_path):
    run = start(library, tmp_path, "--metrics", "0")
    assert run.stderr is not None
    told = next(line for line in iter(run.stderr.readline, "") if "metrics are at" in line)
    values = scrape(told.split()[-1])
    assert sum(values["songs", state.value] for state in State) == GOOD + BAD
    wait_until(lambda: count(tmp_path / ".job") >= 3)
    run.send_signal(signal.SIGINT)
    _, complaints = run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == 130
    assert "run the same command again" in complaints
    assert "Traceback" not in complaints
    assert not list(tmp_path.rglob("*.part"))
    stems = Counter(path.parent.name for path in tmp_path.rglob("*.wav"))
    assert set(stems.values()) == {4}
