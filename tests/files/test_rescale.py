"""Rescaling by the whole stem's peak, as demucs does, with nothing left when it fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamer.audio import Samples
from streamer.errors import OutputExistsError, SinkError
from streamer.files import Encoding, FileSink, RescaleSink

Tone = Callable[..., Samples]
FLOAT = Encoding("wav", "float32")


def rescaled(path: Path, samples: Samples, gain: float | None = None) -> Samples:
    sink = RescaleSink(FileSink(path, 44100, samples.shape[1], FLOAT), path.parent, 2)
    with sink:
        for start in range(0, len(samples), 999):
            sink.write(samples[start : start + 999])
        assert len(list(path.parent.glob("*.part"))) == 1
        sink.gain = gain
        sink.commit()
        sink.commit()
    back: Samples = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return back


def test_as_demucs(tmp_path: Path, tone: Tone) -> None:
    loud = tone(200_000) * 5
    peak = np.abs(loud).max()
    np.testing.assert_allclose(
        rescaled(tmp_path / "a.wav", loud), loud / max(1.01 * peak, 1), rtol=1e-6
    )
    quiet = tone(1000)
    np.testing.assert_array_equal(rescaled(tmp_path / "b.wav", quiet), quiet)
    assert rescaled(tmp_path / "c.wav", tone(0)).shape == (0, 2)


def test_a_gain_for_all_stems(tmp_path: Path, tone: Tone) -> None:
    np.testing.assert_array_equal(
        rescaled(tmp_path / "a.wav", tone(1000), gain=0.25), tone(1000) * 0.25
    )


def test_a_disk_that_fills_with_samples_still_buffered(small_disk: Path, tone: Tone) -> None:
    sink = RescaleSink(FileSink(small_disk / "a.wav", 44100, 2, FLOAT), small_disk, 2)

    def fill() -> None:
        while True:
            sink.write(tone(100))

    with pytest.raises(SinkError, match="the disk is full"):
        fill()
    assert list(small_disk.iterdir()) == []


def test_failures_leave_nothing(tmp_path: Path, small_disk: Path, tone: Tone) -> None:
    sink = RescaleSink(FileSink(small_disk / "a.wav", 44100, 2, FLOAT), small_disk, 2)
    with pytest.raises(SinkError, match="the disk is full"), sink:
        sink.write(tone(200_000))
    assert list(small_disk.iterdir()) == []
    path = tmp_path / "b.wav"
    with RescaleSink(FileSink(path, 44100, 2, FLOAT), tmp_path, 2) as sink:
        sink.write(tone(10))
    assert not path.exists()
    sink = RescaleSink(FileSink(path, 44100, 2, FLOAT), tmp_path, 2)
    path.write_text("mine")
    with pytest.raises(OutputExistsError):
        sink.commit()
    assert path.read_text() == "mine"
    sink.abort()
