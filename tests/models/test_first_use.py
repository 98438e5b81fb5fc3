"""The network's code is compiled by a process of its own, once, and what waits for it says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamer.models import first_use

ROOT = Path(__file__).parents[2]


class Process:
    """Stands in for a process, and notes what is done with it."""

    def __init__(self, events, target, args, daemon):
        assert daemon  # it ends with the program, however that ends
        self.events, self.args = events, args

    def __getattr__(self, done):
        return lambda: self.events.append(f"{done} {self.args[0]}")


@pytest.fixture
def events(monkeypatch):
    noted = []
    monkeypatch.setattr(first_use, "processors", lambda: 2)
    monkeypatch.setattr(
        first_use._SPAWN, "Process", lambda **wish: Process(noted, **wish), raising=False
    )
    return noted


def compile_beside(model, events, kept, monkeypatch):
    monkeypatch.setattr("ringbuffer.compiled.is_to_come", lambda _function: not kept)
    with first_use.compiling_beside(model, lambda sentence: events.append(sentence.split()[0])):
        events.append("imports")


def test_it_is_told_and_begun_first_and_waited_for_last(events, monkeypatch):
    compile_beside("rt_mini", events, False, monkeypatch)
    assert events == ["compiling", "start rt_mini", "imports", "join rt_mini", "kill rt_mini"]


@pytest.mark.parametrize(
    ("model", "kept", "processors"),
    # kept already; windows; weights of one's own; nobody beside whom it could be compiled
    [
        ("rt_mini", True, 2),
        ("htdemucs_mini", False, 2),
        ("my/weights", False, 2),
        ("rt_mini", False, 1),
    ],
)
def test_else_nothing_is_started(model, kept, processors, events, monkeypatch):
    monkeypatch.setattr(first_use, "processors", lambda: processors)
    compile_beside(model, events, kept, monkeypatch)
    assert events == ["imports"]


def test_what_fails_meanwhile_waits_for_nothing(events, monkeypatch):
    monkeypatch.setattr("ringbuffer.compiled.is_to_come", lambda _function: True)
    with (
        pytest.raises(KeyboardInterrupt),
        first_use.compiling_beside("rt_mini_fast", events.append),
    ):
        raise KeyboardInterrupt
    assert events[1:] == ["start rt_mini_fast", "kill rt_mini_fast"]


def test_code_is_to_come_until_it_is_kept(tmp_path):
    (tmp_path / "module.py").write_text(
        "from ringbuffer.compiled import compiled, is_to_come\n"
        "@compiled()\n"
        "def twice(x):\n"
        "    return 2 * x\n"
        "print(is_to_come(twice), twice(2), is_to_come(twice))\n"
    )

    def run():
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path)}
        script = [sys.executable, str(tmp_path / "module.py")]
        return subprocess.check_output(script, text=True, env=environment).split()

    assert run() == ["True", "4", "False"]
    assert run() == ["False", "4", "False"]
