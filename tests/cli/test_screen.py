"""What a live run shows where standard error is no terminal."""

from __future__ import annotations

from queue import SimpleQueue

import pytest

from cli.screen import line, show
from streamer.live.status import State, Status


class Run:
    """A session of two looks."""

    def __init__(self) -> None:
        self.looks = 2

    def wait(self, seconds: float) -> bool:
        self.looks -= 1
        return self.looks < 0

    def status(self) -> Status:
        return Status(State.RUNNING, samplerate=48000)


def test_what_a_run_says_is_told_by_who_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    said: SimpleQueue[str] = SimpleQueue()
    said.put("a step was taken")
    show(Run(), said)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "a step was taken"
    assert told[1:] == [line(Status(State.RUNNING, samplerate=48000))]


def test_the_clock_goes_on_after_a_day() -> None:
    status = Status(State.RUNNING, samplerate=48000, played_frames=48000 * 90061)
    assert ", 25:01:01, " in line(status)
