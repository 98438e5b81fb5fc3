"""A file that is played: pause, go on, seek; each by its address, and what is heard of it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from live.support.staging import Run, begun, card, noise_source, running, speakers, tone
from support.doubles import RATE, noise

from streamer.audio import Samples
from streamer.errors import SettingsError
from streamer.files import open_source
from streamer.live.control.commands import Commands
from streamer.live.control.osc import Message
from streamer.live.devices.player import Player
from streamer.live.realtime.callbacks import FADE_FRAMES
from streamer.live.realtime.ports import CapturePort
from streamer.live.session import LEAD_SECONDS
from streamer.live.settings import LiveSettings
from streamer.live.status import Reason, State
from streamer.testing.virtual_device import VirtualDevice

BLOCK = 512


def song(folder: Path, signal: Samples) -> str:
    path = folder / "song.wav"
    soundfile.write(path, signal, RATE, subtype="FLOAT")
    return str(path)


def send(run: Run, address: str, *args: object) -> list[Message]:
    return Commands(run.session, run.session.status).act(Message(address, args))


def value(run: Run, address: str) -> object:
    [answer] = send(run, address)
    return answer.args[0]


def heard(run: Run, output: VirtualDevice) -> Samples:
    """What came out from the first frame of the stream on."""
    return output.heard(0, output.heard_frames)[begun() + run.announced_frames :, :2]


def sounding(out: Samples) -> list[slice]:
    """The stretches between silences that are longer than a fade."""
    loud = np.flatnonzero(out.any(1))
    cuts = np.flatnonzero(np.diff(loud) > FADE_FRAMES)
    starts, ends = [loud[0], *loud[cuts + 1]], [*loud[cuts], loud[-1]]
    return [slice(start, end + 1) for start, end in zip(starts, ends, strict=True)]


def test_a_pause_holds_the_position_and_no_frame_is_lost(tmp_path: Path) -> None:
    signal = noise(4 * RATE)
    output = speakers()
    with running([output], input=song(tmp_path, signal), route=["drums=1,2"]) as run:
        run.advance(1)
        send(run, "/transport/play", 0)
        assert value(run, "/transport/play") == 0
        run.advance(2)
        held = value(run, "/transport/position")
        run.advance(1)
        assert value(run, "/transport/position") == held
        send(run, "/transport/play", 1)
        run.advance(2)
        assert value(run, "/transport/position") == pytest.approx(held + 2, abs=0.6)
        out = heard(run, output)
    before, after = sounding(out)
    length = before.stop - before.start
    assert held == pytest.approx(length / RATE, abs=1e-3)
    np.testing.assert_allclose(
        out[before][:-FADE_FRAMES], signal[: length - FADE_FRAMES], atol=1e-6
    )
    rest = out[after.start + FADE_FRAMES : after.start + RATE]
    first = round(held * RATE) + FADE_FRAMES
    found = [
        shift
        for shift in (-1, 0, 1)
        if np.allclose(rest, signal[first + shift :][: len(rest)], atol=1e-6)
    ]
    assert len(found) == 1


def test_pausing_and_seeking_do_not_click(tmp_path: Path) -> None:
    smooth = tone(6)
    output = speakers()
    with running([output], input=song(tmp_path, smooth), route=["drums=1,2"]) as run:
        for address, one in (
            ("/transport/play", 0),
            ("/transport/play", 1),
            ("/transport/position", 3.1007),
            ("/transport/position", 1.3),
        ):
            run.advance(0.5)
            send(run, address, one)
        run.advance(1.5)
        out = heard(run, output)
    steepest = np.abs(np.diff(smooth[:, 0])).max() + 0.4 / FADE_FRAMES
    assert np.abs(np.diff(out, axis=0)).max() <= 1.01 * steepest
    assert len(sounding(out)) >= 2


@pytest.mark.parametrize("paused", [False, True])
def test_a_seek_goes_to_the_frame_and_the_position_says_so(tmp_path: Path, paused: bool) -> None:
    signal = noise(4 * RATE)
    output = speakers()
    with running([output], input=song(tmp_path, signal), route=["drums=1,2"]) as run:
        run.advance(1)
        send(run, "/transport/play", int(not paused))
        send(run, "/transport/position", 2.5)
        run.advance(1)
        if paused:
            assert value(run, "/transport/position") == 2.5
            send(run, "/transport/play", 1)
        run.advance(run.session.delay_seconds + LEAD_SECONDS + 0.5)
        told = value(run, "/transport/position")
        out = heard(run, output)
        run.advance(3)
        status = run.session.status()
    assert (status.reason, status.song_seconds) == (Reason.SOURCE_ENDED, 4)
    piece = out[-RATE // 4 :]
    at = next(
        first
        for first in range(round(2.4 * RATE), len(signal) - len(piece))
        if np.allclose(signal[first : first + len(piece)], piece, atol=1e-6)
    )
    assert told == pytest.approx((at + len(piece)) / RATE, abs=0.06 + BLOCK / RATE)


def test_a_seek_back_from_the_end_goes_on(tmp_path: Path) -> None:
    path = song(tmp_path, noise(2 * RATE))
    with running([speakers()], input=path, route=["drums=1,2"]) as run:
        run.advance(2)  # all of it is fed, the last of it is not heard yet
        send(run, "/transport/position", 0.5)
        run.advance(1)
        assert run.session.status().state is State.RUNNING
        run.advance(2)
        assert run.session.status().reason is Reason.SOURCE_ENDED


def test_a_stop_just_before_the_end_is_no_end(tmp_path: Path) -> None:
    path = song(tmp_path, noise(2 * RATE))
    with running([speakers()], input=path, route=["drums=1,2"]) as run:
        run.advance(2)  # all of it is fed, the last of it is not heard yet
        send(run, "/transport/play", 0)
        run.advance(3)
        assert run.session.status().state is State.RUNNING
        send(run, "/transport/play", 1)
        run.advance(1)
        assert run.session.status().reason is Reason.SOURCE_ENDED


def test_a_loop_goes_on_after_a_seek(tmp_path: Path) -> None:
    part = {"start": 1, "end": 2, "loop": True, "route": ["drums=1,2"]}
    with running([speakers()], input=song(tmp_path, noise(3 * RATE)), **part) as run:
        run.advance(0.5)
        send(run, "/transport/position", 1.75)
        run.advance(run.session.delay_seconds + LEAD_SECONDS + 1)
        assert value(run, "/transport/position") == pytest.approx(1.75, abs=0.1)
        for wrong in (0.5, 2.5):
            with pytest.raises(SettingsError, match=r"must be between 1 and 2\.0, in seconds"):
                send(run, "/transport/position", wrong)


@pytest.mark.parametrize("back", [0, 0.0, float(np.float32(1.1)), float(np.float32(1.3))])
def test_the_beginning_of_a_part_is_reached_by_0_and_by_rounded_numbers(
    tmp_path: Path, back: float
) -> None:
    part = {"start": 1.1, "end": 1.3, "loop": True, "route": ["drums=1,2"]}
    with running([speakers()], input=song(tmp_path, noise(3 * RATE)), **part) as run:
        run.advance(0.5)
        send(run, "/transport/position", back)
        run.advance(1)
        assert 1.1 <= value(run, "/transport/position") <= 1.3
        assert run.told == []


@pytest.mark.parametrize("wrong", [-1, 4.1, float("nan"), float("inf"), "soon", True, None])
def test_a_place_that_the_song_has_not_is_refused(tmp_path: Path, wrong: object) -> None:
    with running([speakers()], input=song(tmp_path, noise(4 * RATE))) as run:
        with pytest.raises(SettingsError, match=r"must be between 0 and 4\.0, in seconds of the"):
            send(run, "/transport/position", wrong)
        run.advance(0.5)
        assert run.session.status().state is State.RUNNING


def test_a_device_that_is_taken_in_has_no_transport() -> None:
    with running([card(noise_source())]) as run:
        assert run.session.transport is None
        with pytest.raises(SettingsError, match="is no address here"):
            send(run, "/transport/play", 0)


class SlowSource:
    """A source whose reading after a seek waits until it is let go."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.let_go = threading.Event()
        self._slow = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def seek(self, frame: int) -> None:
        self._slow = True
        self._inner.seek(frame)

    def blocks(self, frames: int) -> Iterator[Samples]:
        if self._slow:
            assert self.let_go.wait(10)
        return self._inner.blocks(frames)


def test_the_engine_does_not_wait_while_a_place_is_searched(tmp_path: Path) -> None:
    signal = noise(4 * RATE)
    capture = CapturePort(2, RATE, [], capacity_frames=8 * RATE)
    source = SlowSource(open_source(Path(song(tmp_path, signal))))
    player = Player(source, capture, LiveSettings())
    player.play(RATE)
    player.seek(2.0)
    player.play(2 * RATE)  # comes back, though the place is not found yet
    assert player.song_seconds(2 * RATE) == 2.0
    source.let_go.set()
    [search] = [one for one in threading.enumerate() if one.name == "song search"]
    search.join()
    player.play(3 * RATE)
    player.close()
    taken = np.zeros((3 * RATE, 2), "f4")
    assert capture.ring.read(taken) == 3 * RATE
    np.testing.assert_array_equal(taken[:RATE], signal[:RATE])
    assert not taken[RATE + FADE_FRAMES : 2 * RATE].any()
    np.testing.assert_allclose(
        taken[2 * RATE + FADE_FRAMES :], signal[2 * RATE :][FADE_FRAMES:RATE], atol=1e-6
    )


@pytest.mark.parametrize("place", [math.inf, -math.inf, math.nan, 1e308, -1, 2])
def test_a_song_whose_length_is_not_known_has_no_such_place(tmp_path: Path, place: float) -> None:
    source = open_source(Path(song(tmp_path, noise(RATE))))
    source.seconds = None
    player = Player(source, CapturePort(2, RATE, [], capacity_frames=8 * RATE), LiveSettings())
    if place == 2:  # behind the end, wherever that is
        player.seek(place)
    else:
        with pytest.raises(SettingsError, match="must be between 0 and the end"):
            player.seek(place)
    player.play(RATE)
    player.close()


def test_while_the_beginning_of_a_long_loop_plays_its_rest_is_searched_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.live.devices.player.KEPT_SECONDS", 2)
    signal = noise(4 * RATE)
    path = song(tmp_path, signal)
    capture = CapturePort(2, RATE, [], capacity_frames=9 * RATE)
    source = SlowSource(open_source(Path(path)))
    player = Player(source, capture, LiveSettings(input=path, loop=True))
    player.play(4 * RATE + RATE // 2)  # comes back, though the rest is not found yet
    source.let_go.set()
    player.play(9 * RATE)
    player.close()
    taken = np.zeros((9 * RATE, 2), "f4")
    assert capture.ring.read(taken) == 9 * RATE
    np.testing.assert_array_equal(taken, np.resize(signal, taken.shape))


@pytest.mark.parametrize("kept_seconds", [60, 2])
def test_a_part_that_begins_again_after_a_jump_in_it_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_seconds: float
) -> None:
    monkeypatch.setattr("streamer.live.devices.player.KEPT_SECONDS", kept_seconds)
    signal = noise(6 * RATE)
    path = song(tmp_path, signal)
    capture = CapturePort(2, RATE, [], capacity_frames=9 * RATE)
    source = SlowSource(open_source(Path(path)))
    source.let_go.set()
    player = Player(source, capture, LiveSettings(input=path, start=1, end=5, loop=True))
    player.play(RATE // 4)
    player.seek(4.75)
    player.play(RATE // 4 + FADE_FRAMES)
    for search in [one for one in threading.enumerate() if one.name == "song search"]:
        search.join()
    begun = RATE // 4 + FADE_FRAMES + RATE // 4  # when the part begins again
    player.play(begun - 1)
    source.let_go.clear()
    player.play(begun + RATE)  # comes back, though nothing can be sought
    source.let_go.set()
    player.play(begun + 4 * RATE)
    player.close()
    taken = np.zeros((begun + 4 * RATE, 2), "f4")
    assert capture.ring.read(taken) == len(taken)
    np.testing.assert_allclose(taken[begun:], signal[RATE : 5 * RATE], atol=1e-6)


def test_a_place_behind_the_true_end_is_not_the_length(
    tmp_path: Path, ffmpeg: Callable[..., bytes]
) -> None:
    path, wav = tmp_path / "song.mp3", tmp_path / "song.wav"
    # silence first: from its bit rate FFmpeg guesses too great a length
    soundfile.write(wav, np.concatenate([np.zeros((9000, 2)), noise(90_000)]), 44_100)
    ffmpeg("-i", wav, "-q:a", "0", "-write_xing", "0", path)
    capture = CapturePort(2, RATE, [], capacity_frames=8 * RATE)
    with open_source(path) as read:
        true_seconds = sum(map(len, read.blocks())) / read.samplerate
    source = open_source(path)
    beyond = source.seconds - 0.01
    assert beyond > true_seconds + 0.01
    player = Player(source, capture, LiveSettings(input=str(path), loop=True), in_place=True)
    player.seek(beyond)
    player.play(RATE // 2)
    player.play(RATE)
    assert player.length_seconds != pytest.approx(beyond, abs=0.005)
    player.play(6 * RATE)
    assert player.length_seconds == true_seconds
    player.close()
