"""The network's code is compiled by a process of its own, once, and what waits for it says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streamer import LiveSettings
from streamer.models import first_use, loading
from streamer.models.backends.native_stream import NativeStreamSeparator

ROOT = Path(__file__).parents[2]


class Process:
    """Stands in for a process, and notes what is done with it."""

    def __init__(self, events, target, args, daemon):
        assert daemon
        self.events, self.args = events, args

    def __getattr__(self, done):
        return lambda: self.events.append(f"{done} {self.args[0]}")


class NoProcess(Process):
    """One that the system refuses."""

    def start(self):
        raise BlockingIOError


@pytest.fixture
def events(monkeypatch):
    noted = []
    monkeypatch.setattr(first_use, "processors", lambda: 2)
    monkeypatch.setattr(first_use._SPAWN, "Process", lambda **wish: Process(noted, **wish))
    return noted


def compile_beside(events, kept, monkeypatch, **wish):
    monkeypatch.setattr("ringbuffer.compiled.is_to_come", lambda _function: not kept)
    settings = LiveSettings(**{"model": "rt_mini", **wish})
    with first_use.compiling_beside(settings, lambda words: events.append(words.split()[0])):
        events.append("imports")


def test_it_is_told_and_begun_first_and_waited_for_last(events, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    compile_beside(events, False, monkeypatch)
    assert events == ["compiling", "start rt_mini", "imports", "join rt_mini", "kill rt_mini"]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("kept", "wish"),
    # kept already; windows; weights of one's own; what else is to run it, or where
    [
        (True, {}),
        (False, {"model": "htdemucs_mini"}),
        (False, {"model": "rt_mine"}),
        (False, {"repo": "weights"}),
        (False, {"backend": "torch"}),
        (False, {"device": "cuda"}),
    ],
)
def test_else_nothing_is_told_nor_started(kept, wish, events, monkeypatch):
    compile_beside(events, kept, monkeypatch, **wish)
    assert events == ["imports"]


def test_where_no_process_can_help_it_is_told_alone(events, monkeypatch):
    monkeypatch.setattr(first_use, "processors", lambda: 1)
    compile_beside(events, False, monkeypatch)
    monkeypatch.setattr(first_use, "processors", lambda: 2)
    monkeypatch.setattr(first_use._SPAWN, "Process", lambda **wish: NoProcess(events, **wish))
    compile_beside(events, False, monkeypatch)
    assert events == ["compiling", "imports"] * 2


def test_what_fails_meanwhile_waits_for_nothing(events, monkeypatch):
    monkeypatch.setattr("ringbuffer.compiled.is_to_come", lambda _function: True)
    settings = LiveSettings(model="rt_mini_fast")
    with pytest.raises(KeyboardInterrupt), first_use.compiling_beside(settings, events.append):
        raise KeyboardInterrupt
    assert events[1:] == ["start rt_mini_fast", "kill rt_mini_fast"]


def test_the_process_compiles_for_the_processor_whatever_else_there_is(monkeypatch):
    begun = []
    monkeypatch.setattr(first_use, "end_with_parent", lambda: None)
    monkeypatch.setattr(NativeStreamSeparator, "begin", lambda self: begun.append(self.names))
    monkeypatch.setattr(loading, "kind_of", lambda wish: "cuda" if wish == "auto" else wish)
    first_use._compile("rt_mini")
    assert len(begun) == 1


def test_what_fails_in_the_process_is_told_by_the_other_one(monkeypatch):
    monkeypatch.setattr(first_use, "end_with_parent", lambda: None)
    first_use._compile("no such model")


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
