"""How many workers one machine has, and what each takes of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streamer import Settings
from streamer.batch import local
from streamer.batch.engine import Made, Outcome, Task, other_model


@pytest.mark.parametrize(
    ("kind", "songs", "workers"),
    # a GPU has one, whoever chose it; on processors it is one each, and one a song at most
    [("cuda", 9, 1), ("mps", 9, 1), ("cpu", 9, 4), ("cpu", 3, 3), ("cpu", 0, 1)],
)
def test_a_gpu_has_one_worker_and_processors_one_each(kind, songs, workers, monkeypatch):
    monkeypatch.setattr(local, "kind_of", lambda wish: {"auto": kind}[wish])
    monkeypatch.setattr(local, "processors", lambda: 4)
    monkeypatch.setattr(local, "WORKER_BYTES", 1.0)
    assert local.workers_here(Settings(model="passthrough", device="auto"), songs) == workers


def test_memory_limits_them(monkeypatch):
    monkeypatch.setattr(local, "processors", lambda: 4)
    monkeypatch.setattr(local, "WORKER_BYTES", 1e18)
    assert local.workers_here(Settings(model="passthrough", device="cpu"), 9) == 1


def test_processors_are_shared_unless_they_were_given(monkeypatch):
    monkeypatch.setattr(local, "processors", lambda: 8)
    shared = local.share_processors(Settings(model="passthrough"), 3)
    assert (shared.torch_num_threads, shared.jobs) == (2, 1)
    given = Settings(model="passthrough", torch_num_threads=5)
    assert local.share_processors(given, 3) is given


def test_a_worker_with_another_model_than_the_others_is_refused():
    """Each resolves `auto` by itself; its stems would be where nobody looks for them."""
    first, same = Made("htdemucs", ("vocals",)), Made("htdemucs", ("vocals",), "told")
    assert other_model(same, first) is None
    said = "a worker has htdemucs_mini where the others have htdemucs; fetch the weights on each"
    assert str(other_model(Made("htdemucs_mini", ("vocals",)), first)).startswith(said)


@pytest.mark.parametrize("told", ["passthrough", "htdemucs"])
def test_a_process_in_place_of_a_lost_one_has_the_same_model(told):
    here, there = local._SPAWN.Pipe()
    process = local._Process.__new__(local._Process)
    process.answers, process.task = here, Task("song.wav", "out")
    process._first = Made("htdemucs", ("vocals",))
    there.send(Made(told, ("vocals",)))
    there.send(Outcome(Task("song.wav", "out"), seconds=1.0))
    outcome = process.outcome()
    assert bool(outcome.error) == (told != "htdemucs")


TWICE = """
import signal
import threading

from streamer.batch import local


class Interrupted(threading.Condition):
    def notify_all(self):
        signal.raise_signal(signal.SIGTERM)  # while the handler is at the first
        super().notify_all()


threading.Condition = Interrupted
local.end_with_parent = lambda: signal.raise_signal(signal.SIGTERM)
local._work(None, None)
"""


def test_a_second_signal_while_the_first_is_noted_hangs_no_worker():
    """A handler that takes a lock, as that of an event, would wait for itself."""
    subprocess.run([sys.executable, "-c", TWICE], check=True, timeout=30)
