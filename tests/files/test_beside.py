"""Encoders beside each other: the same bytes, the same errors, and nothing left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import soundfile

from streamer.audio import Samples
from streamer.errors import SinkError
from streamer.files import Encoding, FileSink, RescaleSink, open_track
from streamer.files.decode.memory import MemorySource
from streamer.files.decode.source import BLOCK_FRAMES
from streamer.files.encode.beside import MOST_WAITING, Beside
from streamer.files.encode.file_sink import Format
from streamer.files.encode.sink import Output, Sink
from streamer.settings import Settings

Tone = Callable[..., Samples]
SECONDS = 30.0


class Told(Output):
    """An output that tells what became of it."""

    def __init__(self, seal: Callable[[], object] = lambda: None) -> None:
        self.told: list[str] = []
        self._seal = seal

    def seal(self) -> None:
        self._seal()
        self.told.append("seal")

    def commit(self) -> None:
        self.told.append("commit")

    def abort(self) -> None:
        self.told.append("abort")


@pytest.mark.parametrize("kind", get_args(Format))
def test_bytes_are_those_of_an_encoder_alone(tmp_path: Path, tone: Tone, kind: Format) -> None:
    samples = tone(40_000)
    blocks = [samples[start : start + 999] for start in range(0, len(samples), 999)]
    assert len(blocks) > MOST_WAITING
    paths = [tmp_path / folder / f"a.{kind}" for folder in ("alone", "beside")]
    alone, sink = (FileSink(path, 44100, 2, Encoding(kind), tags={"title": "A"}) for path in paths)
    beside = Beside(sink)
    for block in blocks:
        alone.write(block)
        beside.do(partial(sink.write, block))
    alone.commit()
    beside.commit()
    beside.commit()
    beside.abort()
    one, other = (path.read_bytes() for path in paths)
    assert len(one) == len(other)
    if kind in ("ogg", "opus"):  # each such file has a random number of its own
        one, other = (soundfile.read(path)[0].tobytes() for path in paths)
    assert one == other


def test_encoders_work_and_end_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=SECONDS)  # is passed by two at once, or by none
    outputs = [Beside(Told(together.wait)) for _ in range(2)]
    for output in outputs:
        output.do(together.wait)
    for output in outputs:
        output.begin_seal()
    for output in outputs:
        output.seal()


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "m4a"])
def test_a_full_disk_is_told_to_who_writes_and_leaves_nothing(
    small_disk: Path, kind: Format
) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (44100, 2)).astype(np.float32)
    sink = FileSink(small_disk / f"a.{kind}", 44100, 2, Encoding(kind))
    beside = Beside(sink)

    def fill() -> None:
        for _ in range(30):
            beside.do(partial(sink.write, noise))
        beside.seal()

    with pytest.raises(SinkError, match="the disk is full"):
        fill()
    beside.abort()
    assert list(small_disk.iterdir()) == []


def test_after_an_error_nothing_more_is_written() -> None:
    def fail() -> None:
        raise SinkError("no")

    output = Told()
    beside = Beside(output)
    beside.do(fail)

    def go_on() -> None:
        for _ in range(MOST_WAITING + 1):
            beside.do(lambda: output.told.append("written"))

    with pytest.raises(SinkError, match="no"):
        go_on()
    beside.abort()
    assert output.told == ["abort"]


def test_an_output_is_aborted_only_when_its_thread_has_let_go_of_it() -> None:
    output = Told()
    beside = Beside(output)
    begun, go_on = threading.Event(), threading.Event()

    def step() -> None:
        begun.set()
        assert go_on.wait(SECONDS)
        output.told.append("step")

    beside.do(step)
    assert begun.wait(SECONDS)
    aborting = threading.Thread(target=beside.abort)
    aborting.start()
    aborting.join(0.2)
    assert aborting.is_alive()
    assert output.told == []
    go_on.set()
    aborting.join(SECONDS)
    assert output.told == ["step", "abort"]


class Slow(Sink):
    """A sink that takes its first block for as long as ``held`` is true, but not for ever."""

    def __init__(self, held: Callable[[], bool]) -> None:
        self.begun = threading.Event()
        self.blocks = 0
        self._held = held

    def write(self, samples: Samples) -> None:
        self.blocks += 1
        self.begun.set()
        pause, ended = threading.Event(), time.monotonic() + SECONDS
        while self.blocks == 1 and self._held() and time.monotonic() < ended:
            pause.wait(0.01)

    def commit(self) -> None:
        raise AssertionError("what is given up is not committed")

    def seal(self) -> None:
        raise AssertionError("what is given up is not sealed")

    def abort(self) -> None:
        pass


def test_an_abort_while_a_song_is_rescaled_waits_for_one_block_alone(
    tmp_path: Path, tone: Tone
) -> None:
    slow = Slow(lambda: not rescaling.given_up)
    rescaling = RescaleSink(slow, tmp_path, 2)
    beside = Beside(rescaling)
    beside.do(partial(rescaling.write, tone(3 * BLOCK_FRAMES)))
    beside.begin_seal()
    assert slow.begun.wait(SECONDS)
    beside.abort()
    assert slow.blocks == 1
    beside.abort()


@pytest.mark.parametrize("settings", [{}, {"clip_mode": "rescale"}, {"format": "stem.mp4"}])
def test_encoders_whose_threads_cannot_start_leave_nothing(
    settings: dict[str, Any], tmp_path: Path, tone: Tone, monkeypatch: pytest.MonkeyPatch
) -> None:
    stems = ("drums", "bass", "other", "vocals")
    if settings.get("format") == "stem.mp4":
        paths = dict.fromkeys(stems, tmp_path / "song.stem.mp4")
    else:
        paths = {name: tmp_path / f"{name}.wav" for name in stems}
    source, start, started = MemorySource("song", tone(10), 44100), threading.Thread.start, []

    def start_some(thread: threading.Thread) -> None:
        if len(started) == len(set(paths.values())) - 1:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    track = open_track(Settings(**settings), source, 2, paths, stems)
    with pytest.raises(RuntimeError, match="new thread"):
        track.__enter__()
    assert list(tmp_path.iterdir()) == []
    assert not any(thread.is_alive() for thread in started)
