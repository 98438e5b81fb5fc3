"""The command `live` around a run: what becomes of its measurements at the end."""

from __future__ import annotations

import errno
import json
import signal
from functools import partial
from pathlib import Path

import pytest
import soundfile
from live.support.staging import PLAN, card, known_timing, noise_source, scaled, speakers
from support.doubles import RATE, noise

from cli import live_run
from streamer.errors import SinkError
from streamer.live.session import LiveSession, open_session
from streamer.live.settings import LiveSettings
from streamer.testing.virtual import VirtualBackend


def test_what_was_measured_is_printed_where_the_report_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full_disk(*_: object) -> None:
        raise SinkError("run.json cannot be written: the disk is full")

    backend = VirtualBackend([card(noise_source(seconds=1))])
    monkeypatch.setattr(live_run, "backend_for", lambda _: backend)
    monkeypatch.setattr(live_run, "open_session", partial(open_session, make_bag=scaled))
    monkeypatch.setattr(live_run, "show", lambda session, *_: session.quit())
    monkeypatch.setattr(live_run, "write_report", full_disk)
    with known_timing():
        settings = LiveSettings(**PLAN, report=tmp_path / "run.json")
        code = live_run.run_live(settings, as_json=True)
    told = capsys.readouterr()
    assert code == SinkError.exit_code
    assert json.loads(told.out)["reason"] == "asked to stop"
    assert "stemstream: run.json cannot be written: the disk is full" in told.err


def test_an_error_that_a_signal_makes_is_a_run_that_was_asked_to_stop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal that is closed sends a signal, and refuses what is written to it meanwhile."""

    def hang_up(*_: object) -> None:
        monkeypatch.setattr(live_run, "asked", [signal.SIGHUP])
        raise OSError(errno.EIO, "Input/output error")

    backend = VirtualBackend([card(noise_source(seconds=1))])
    monkeypatch.setattr(live_run, "backend_for", lambda _: backend)
    monkeypatch.setattr(live_run, "open_session", partial(open_session, make_bag=scaled))
    monkeypatch.setattr(live_run, "show", hang_up)
    with known_timing():
        code = live_run.run_live(LiveSettings(**PLAN), as_json=True)
    assert code == 128 + signal.SIGHUP
    assert json.loads(capsys.readouterr().out)["reason"] == "asked to stop"


def test_a_file_is_fed_before_pages_and_ports_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its outputs play already, and what opens the others may take long."""
    soundfile.write(tmp_path / "in.wav", noise(RATE), RATE, subtype="FLOAT")
    started: list[bool] = []

    def slow(session: LiveSession, *_: object) -> list[str]:
        started.append(session._turns.started)
        return []

    backend = VirtualBackend([speakers()])
    monkeypatch.setattr(live_run, "backend_for", lambda _: backend)
    monkeypatch.setattr(live_run, "open_session", partial(open_session, make_bag=scaled))
    monkeypatch.setattr(live_run, "open_ports", slow)
    monkeypatch.setattr(live_run, "show", lambda session, *_: session.quit())
    with known_timing():
        live_run.run_live(LiveSettings(**PLAN, input=str(tmp_path / "in.wav")), as_json=True)
    assert started == [True]
