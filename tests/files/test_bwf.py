"""Broadcast Waves: read by another library, and carried over from song to stems."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamer.files import Encoding, FileSink, open_source
from streamer.files.bwf import TimeStamp, bext_body, read_stamp

STAMP = TimeStamp(3_600 * 48_000 + 5, "2026-11-28", "01:00:00")


def write(path: Path, stamp: TimeStamp | None = STAMP, depth="int24") -> None:
    with FileSink(path, 48000, 2, Encoding("wav", depth, stamp=stamp), tags={"title": "A"}) as sink:
        sink.write(np.full((100, 2), 0.25, np.float32))
        sink.commit()


@pytest.mark.parametrize("depth", ["int16", "int24", "float32"])
def test_another_library_reads_when_the_sound_begins(tmp_path, depth):
    wavinfo = pytest.importorskip("wavinfo", reason="needs pip install wavinfo")
    write(tmp_path / "vocals.wav", depth=depth)
    told = wavinfo.WavInfoReader(str(tmp_path / "vocals.wav"))
    assert told.bext.time_reference == STAMP.frames
    assert (told.bext.originator, told.bext.description) == ("stemstream", "vocals")
    assert (told.bext.originator_date, told.bext.originator_time) == (STAMP.date, STAMP.time)
    bits = {"int16": 16, "int24": 24, "float32": 32}[depth]
    assert told.bext.coding_history.strip("\r\n\0") == (
        f"A=PCM,F=48000,W={bits},M=stereo,T=stemstream"
    )
    samples, rate = soundfile.read(tmp_path / "vocals.wav")
    assert (samples.shape, rate) == ((100, 2), 48000)
    assert abs(samples - 0.25).max() < 1e-4


def test_ffprobe_reads_it_too(tmp_path, ffmpeg):
    write(tmp_path / "a.wav")
    told = ffmpeg("-i", tmp_path / "a.wav", "-f", "ffmetadata", "-").decode()
    assert f"time_reference={STAMP.frames}" in told
    assert "coding_history=A=PCM" in told.replace("\\", "")


def test_a_song_tells_when_it_begins_to_whoever_reads_it(tmp_path):
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav", None)
    with open_source(tmp_path / "a.wav") as source:
        assert source.time_stamp() == STAMP
    with open_source(tmp_path / "b.wav") as source:
        assert source.time_stamp() == TimeStamp()


def test_a_damaged_chunk_tells_nothing():
    body = bext_body("x", STAMP, 48000, 2, "int24")
    assert len(body) % 2 == 0
    assert read_stamp(body) == STAMP
    assert read_stamp(body[:500]) == TimeStamp()
    assert read_stamp(b"\xff" * len(body)) == TimeStamp()


def test_the_time_of_day_is_that_of_the_clock_on_the_wall():
    stamp = TimeStamp.of(datetime(2026, 11, 28, 20, 15, 0, 500_000), 44100)
    assert stamp == TimeStamp(72_900 * 44_100 + 22_050, "2026-11-28", "20:15:00")


def test_the_chunk_is_as_long_whenever_it_begins():
    lengths = {len(bext_body("x", one, 48000, 1, "int16")) for one in (STAMP, TimeStamp())}
    assert len(lengths) == 1
