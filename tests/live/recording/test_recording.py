"""Takes that are begun and ended while a run goes on."""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from live.support.causal import small_causal
from live.support.staging import Run, begun, card, noise_source, running
from support.doubles import RATE

from streamer.errors import SettingsError, SinkError
from streamer.live.control.commands import Commands
from streamer.live.control.osc import Message
from streamer.live.native_engine import NativeEngine
from streamer.live.recording.recording import Recording
from streamer.live.recording.take import Take
from streamer.live.settings import LiveSettings
from streamer.live.status import State

FLOAT = {"sample_format": "float32", "route": ["drums=1,2"]}


def record(run: Run, on: object) -> None:
    Commands(run.session, run.session.status).act(Message("/record", (on,)))


def take(folder: Path, number: int = 1, stem: str = "drums"):
    return soundfile.read(folder / f"take-{number:03d}" / f"{stem}.wav", dtype="float32")[0]


def test_a_take_begins_with_what_is_heard_when_it_is_begun(tmp_path: Path) -> None:
    signal = noise_source(seconds=6)
    device = card(signal)
    with running([device], takes=tmp_path, **FLOAT) as run:
        run.advance(1.5)
        assert not run.session.status().recording_on
        heard_frames = device.heard_frames
        record(run, 1)
        run.advance(1)
        status = run.session.status()
        assert status.recording_on
        record(run, 0)
        run.advance(0.5)
        assert not run.session.status().recording_on
        delay = run.announced_frames
    sound = take(tmp_path)
    # what the converter has is not heard yet
    first = heard_frames - delay - 32
    shift = next(
        one
        for one in range(-600, 600)
        if np.allclose(sound[:64], signal[first + one :][:64], atol=1e-6)
    )
    assert abs(shift) <= 512
    np.testing.assert_allclose(sound, signal[first + shift :][: len(sound)], atol=1e-6)
    assert 1 <= len(sound) / RATE < 1 + run.session.plan.delay_seconds
    assert 0.9 < status.recording_seconds < 1.5
    assert status.recording_left_seconds is not None


def test_each_start_is_a_new_take_and_what_is_on_goes_on(tmp_path: Path) -> None:
    with running([card(noise_source(seconds=6))], record=tmp_path, **FLOAT) as run:
        for _ in range(2):
            record(run, 1)  # it is on from the beginning
            run.advance(0.5)
        record(run, 0)
        record(run, 0)
        run.advance(0.5)
        record(run, 1)
        run.advance(0.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take-001", "take-002"]
    assert len(take(tmp_path, 1)) >= 0.7 * RATE
    assert 0.4 * RATE < len(take(tmp_path, 2)) < RATE


def test_a_recording_of_the_whole_run_has_its_first_frame(tmp_path: Path) -> None:
    signal = noise_source(seconds=3)
    with running([card(signal)], record=tmp_path, **FLOAT) as run:
        run.advance(2)
    sound = take(tmp_path)
    np.testing.assert_allclose(sound, signal[begun() - 32 :][: len(sound)], atol=1e-6)


def test_a_take_whose_files_take_long_to_make_begins_when_it_was_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal, make = noise_source(seconds=6), Take.__init__
    device = card(signal)
    with running([device], takes=tmp_path, **FLOAT) as run:
        run.advance(1.5)

        def make_late(self: Take, *of: Any, **more: Any) -> None:
            run.advance(0.8)  # a slow disk
            make(self, *of, **more)

        monkeypatch.setattr(Take, "__init__", make_late)
        heard = device.heard_frames
        record(run, 1)
        run.advance(1)
        out = device.heard(0, device.heard_frames)[:, :2]
    sound = take(tmp_path)
    assert np.abs(sound[:64]).max() > 0.01
    (first,) = (
        at for at in range(len(out) - 64) if np.allclose(out[at : at + 64], sound[:64], atol=1e-6)
    )
    assert abs(first - heard) <= 512
    np.testing.assert_allclose(sound[: len(out) - first], out[first:], atol=1e-6)


def test_the_files_may_be_there_while_the_engine_is_at_a_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stems, heard = noise_source(seconds=1)[None], 0.0
    slow, make = threading.Event(), Take.__init__

    def make_late(self: Take, *of: Any, **more: Any) -> None:
        assert slow.wait(10)
        make(self, *of, **more)

    class Piece(np.ndarray[Any, Any]):
        def copy(self, *_: Any) -> Any:  # the engine is at it
            slow.set()
            switching.join()
            return np.array(self)

    monkeypatch.setattr(Take, "__init__", make_late)
    settings = LiveSettings(takes=tmp_path, sample_format="float32")
    recording = Recording(settings, ["drums"], RATE, lambda: 1 << 40, lambda: heard)
    recording.write(0, stems[:, :2000])
    switching = threading.Thread(target=recording.switch, args=(True,))
    switching.start()
    while recording._wanted_from == math.inf:
        pass
    heard = 4000.0
    recording.write(2000, stems[:, 2000:4000].view(Piece))
    recording.write(4000, stems[:, 4000:6000])
    recording.close()
    np.testing.assert_array_equal(take(tmp_path), stems[0, :6000])


def test_a_disk_that_hangs_does_not_keep_a_run_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, disk = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        entered.set()
        disk.wait(30)
        raise SinkError("the disk is gone")

    monkeypatch.setattr(Take, "__init__", hang)
    monkeypatch.setattr("streamer.live.recording.recording.CLOSE_SECONDS", 0.1)
    recording = Recording(LiveSettings(takes=tmp_path), ["drums"], RATE, lambda: 0, lambda: 0.0)

    def switch() -> None:
        with suppress(SinkError):
            recording.switch(True)

    switching = threading.Thread(target=switch)
    switching.start()
    assert entered.wait(10)
    recording.close()
    late = not switching.is_alive()
    disk.set()
    switching.join()
    assert not late
    assert recording.failures == ["a take was never begun: the disk did not answer"]


def test_the_native_engine_records_from_the_middle_too(tmp_path: Path) -> None:
    bag = small_causal(tmp_path)
    signal = noise_source(seconds=4, rate=44100)
    device = card(signal, rate=44100)
    wish = {"hop": None, "lookahead": None, "window_seconds": 0.001, "takes": tmp_path / "takes"}
    with running([device], lambda _: bag, **{**wish, **FLOAT}) as run:
        assert isinstance(run.session.engine, NativeEngine)
        run.advance(1)
        record(run, 1)
        run.advance(0.5)
        out = device.heard(0, device.heard_frames)[:, :2]
    sound = take(tmp_path / "takes")
    middle = out[round(1.5 * 44100) : round(1.7 * 44100)]
    found = [
        at
        for at in range(len(sound) - len(middle))
        if np.allclose(sound[at : at + 32], middle[:32], atol=1e-6)
    ]
    assert any(np.allclose(sound[at : at + len(middle)], middle, atol=1e-6) for at in found)


def test_a_take_that_cannot_be_made_is_one_sentence_and_the_sound_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with running([card(noise_source(seconds=3))], takes=tmp_path / "file" / "takes") as run:
        run.advance(1)
        with pytest.raises(SinkError, match="cannot be written: a file stands where"):
            record(run, 1)
        with pytest.raises(SettingsError, match="record=2 must be 0 or 1; try 1"):
            record(run, 2)
        run.advance(0.5)
        status = run.session.status()
    assert (status.state, status.recording_on, status.recording) == (State.RUNNING, False, "")
