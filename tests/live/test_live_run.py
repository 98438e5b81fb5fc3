"""The command `live` around a run: what becomes of its measurements at the end."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from live.support.staging import PLAN, card, known_timing, noise_source, scaled

from cli import live_run
from streamer.errors import SinkError
from streamer.live.session import open_session
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
