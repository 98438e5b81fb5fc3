"""How many workers one machine has, and what each takes of it."""

from __future__ import annotations

import pytest

from streamer import Settings
from streamer.batch import local


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
