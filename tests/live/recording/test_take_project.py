"""The project of a take, and the time of day in its stems: right at every moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
from live.support.staging import card, noise_source, running
from support.doubles import RATE

from streamer.live.recording.recorder import Recorder
from streamer.live.recording.recording import Recording
from streamer.live.recording.take import Take
from streamer.live.settings import LiveSettings

parser = pytest.importorskip("rpp", reason="needs pip install rpp")
NAMES = ["drums", "vocals"]
BEGAN = datetime(2026, 11, 28, 1, 0, 0)


def items(project: Path) -> dict[str, float]:
    """How long each file in a project is, in seconds."""
    found = [track.find("ITEM") for track in parser.loads(project.read_text()).findall("TRACK")]
    return {one.find("SOURCE").find("FILE")[1]: float(one.find("LENGTH")[1]) for one in found}


def stems(frames: int) -> np.ndarray:
    return np.full((len(NAMES), frames, 2), 0.25, np.float32)


def test_a_take_tells_when_it_began_and_has_a_project(tmp_path):
    wavinfo = pytest.importorskip("wavinfo", reason="needs pip install wavinfo")
    recorder = Recorder(tmp_path, NAMES, RATE, 2, project="reaper", clock=lambda: BEGAN)
    recorder.write(0, stems(RATE // 2))
    recorder.write(RATE // 2, stems(RATE // 2))
    recorder.close()
    assert recorder.status().failure == ""
    take = tmp_path / "take-001"
    assert items(take / "take-001.rpp") == {"drums.wav": 1.0, "vocals.wav": 1.0}
    for name in NAMES:
        told = wavinfo.WavInfoReader(str(take / f"{name}.wav"))
        assert told.bext.time_reference == 3600 * RATE
        assert told.bext.description == name
        assert soundfile.info(take / f"{name}.wav").frames == RATE


@pytest.mark.parametrize(("heard", "began"), [(10.0, 10.0), (-0.25, 0.0)])
def test_a_take_began_when_its_first_frame_was_heard(tmp_path, monkeypatch, heard, began):
    """``heard`` seconds when it is asked for, and its first stems come 3 s later."""
    wavinfo = pytest.importorskip("wavinfo", reason="needs pip install wavinfo")

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return BEGAN + timedelta(seconds=now - heard)

    now = heard
    monkeypatch.setitem(Recording._begin.__globals__, "datetime", Clock)
    settings = LiveSettings(takes=tmp_path, project="reaper")
    recording = Recording(settings, NAMES, RATE, lambda: 1 << 60, lambda: now * RATE)
    recording.switch(1)
    now += 3
    recording.write(round(began * RATE), stems(RATE))
    recording.close()
    told = wavinfo.WavInfoReader(str(tmp_path / "take-001" / "vocals.wav"))
    assert told.bext.time_reference == round((3600 + began - heard) * RATE)


def test_a_run_that_is_killed_leaves_a_project_too(tmp_path):
    take = Take(tmp_path, NAMES, RATE, 2, project="reaper")
    assert items(take.folder / "take-001.rpp") == {"drums.wav": 0.0, "vocals.wav": 0.0}
    take.append(np.zeros((RATE, 4), np.float32))
    take.sync()  # what it does every two seconds: it is killed after that
    assert items(take.folder / "take-001.rpp") == {"drums.wav": 1.0, "vocals.wav": 1.0}
    take.close()


def test_a_take_that_gets_another_name_meanwhile_keeps_its_project(tmp_path):
    take = Take(tmp_path, NAMES, RATE, 2, project="reaper")
    take.folder.rename(tmp_path / "the good one")
    take.append(np.zeros((RATE, 4), np.float32))
    take.close()
    assert set(items(tmp_path / "the good one" / "take-001.rpp").values()) == {1.0}
    assert [path.name for path in tmp_path.iterdir()] == ["the good one"]


def test_without_a_project_nothing_is_added(tmp_path):
    take = Take(tmp_path, NAMES, RATE, 2)
    take.append(np.zeros((10, 4), np.float32))
    take.close()
    assert {path.name for path in take.folder.iterdir()} == {"drums.wav", "vocals.wav"}
    assert b"bext" not in (take.folder / "drums.wav").read_bytes()


def test_a_live_run_records_a_project(tmp_path):
    device = card(noise_source(seconds=3))
    with running([device], record=tmp_path, project="reaper", route=["drums=1,2"]) as run:
        run.advance(2)
    (project,) = tmp_path.glob("take-001/*.rpp")
    lengths = items(project)
    assert "drums.wav" in lengths
    recorded = soundfile.info(project.parent / "drums.wav")
    assert lengths["drums.wav"] == pytest.approx(recorded.frames / recorded.samplerate)
