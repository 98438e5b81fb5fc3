"""What a live run shows where standard error is no terminal."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

import pytest
from live.support.desk import DRUMMER, Desk

from cli.live_page import Pages, open_page
from cli.screen import line, show
from streamer.live.settings import LiveSettings
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
    show(Run(), said, Pages())
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "a step was taken"
    assert told[1:] == [line(Status(State.RUNNING, samplerate=48000))]


class Band(Desk):
    """A desk with a status."""

    def status(self) -> Status:
        return Status(State.RUNNING)


def test_plain_output_tells_of_each_page_with_its_qr_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("uvicorn", reason="the page is an extra: pip install 'stemstream[page]'")
    band, later = Band(tmp_path, listeners={"drummer": DRUMMER}), list[str]()
    settings = LiveSettings(page=0, host="0.0.0.0", token="our-rehearsal-room")
    with ExitStack() as stack:
        pages = open_page(band, settings, stack, later.append)
        expected = [text for role in pages.roles() for text in (pages.told(role), pages.code(role))]
    told = capsys.readouterr().err
    assert len(expected) == 6
    assert all("\n" in code for code in expected[1::2])
    assert told == "".join(f"{text}\n" for text in expected)
    assert not later


def test_the_clock_goes_on_after_a_day() -> None:
    status = Status(State.RUNNING, samplerate=48000, played_frames=48000 * 90061)
    assert ", 25:01:01, " in line(status)
