"""Standard output: headers that ffmpeg and sox read back, and a reader that goes away."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamer.audio import Samples
from streamer.errors import SinkError
from streamer.files import PcmCoder, PipeSink

Tone = Callable[..., Samples]


def sent(samples: Samples, container: str, sample_format: str, frames: int | None) -> bytes:
    stream = io.BytesIO()
    coder = PcmCoder(sample_format, dither=False, seed=0)
    sink = PipeSink(stream, 44100, samples.shape[1], coder, container, frames=frames)
    with sink:
        for start in range(0, len(samples), 1000):
            sink.write(samples[start : start + 1000])
        sink.commit()
    return stream.getvalue()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("sample_format", ["int16", "int24", "float32"])
@pytest.mark.parametrize("frames", [0, 1, 5001])
def test_wav_reads_back(
    tone: Tone, ffmpeg: Callable[..., bytes], frames: int, sample_format: str, known: bool
) -> None:
    samples = tone(frames, 1)
    data = sent(samples, "wav", sample_format, frames if known else None)
    back = ffmpeg("-i", "-", "-f", "f32le", "-", given=data)
    step = {"int16": 2**-16, "int24": 2**-24, "float32": 0}[sample_format]
    # Where the length is unknown, the byte that pads an odd length is no sample.
    assert len(back) == 4 * frames
    np.testing.assert_allclose(np.frombuffer(back, np.float32), samples[:, 0], atol=step, rtol=0)
    if shutil.which("sox") is None:
        pytest.skip("needs sox: apt-get install sox")
    command = ["sox", "-t", "wav", "-", "-t", "raw", "-e", "float", "-b", "32", "-"]
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    # sox works in 32 bit integers.
    theirs = np.frombuffer(done.stdout, np.float32)
    np.testing.assert_allclose(theirs, samples[:, 0], atol=step + 6e-8, rtol=0)


def test_unknown_sizes_are_as_ffmpeg_writes_them(tone: Tone) -> None:
    data = sent(tone(10), "wav", "int16", None)
    assert data[:8] == b"RIFF\xff\xff\xff\xff"
    assert data[data.index(b"data") + 4 :][:4] == b"\xff\xff\xff\xff"


@pytest.mark.parametrize("sample_format", ["int16", "int24", "float32"])
def test_raw_is_interleaved_little_endian(
    tone: Tone, ffmpeg: Callable[..., bytes], sample_format: str
) -> None:
    samples = tone(1001, 2)
    data = sent(samples, "raw", sample_format, None)
    kind = {"int16": "s16le", "int24": "s24le", "float32": "f32le"}[sample_format]
    back = ffmpeg("-f", kind, "-ac", "2", "-i", "-", "-f", "f32le", "-", given=data)
    np.testing.assert_allclose(
        np.frombuffer(back, np.float32).reshape(-1, 2), samples, atol=2**-16, rtol=0
    )


def test_a_reader_that_goes_away_is_one_sentence() -> None:
    code = (
        "import sys, numpy as np; from streamer.errors import SinkError\n"
        "from streamer.files import PcmCoder, PipeSink\n"
        "coder = PcmCoder('int16', dither=True, seed=0)\n"
        "try:\n"
        "    with PipeSink(sys.stdout.buffer, 44100, 2, coder) as sink:\n"
        "        for _ in range(100): sink.write(np.zeros((44100, 2), 'f4'))\n"
        "        sink.commit()\n"
        "except SinkError as error: print(error, file=sys.stderr); sys.exit(error.exit_code)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        told = process.stderr.read()
    assert process.returncode == 4
    assert told == b"The reader of the pipe went away before the end\n"


def test_other_failures_of_a_pipe_are_sink_errors() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        sink = PipeSink(full, 44100, 2, PcmCoder("int16", dither=True, seed=0), "raw")
        with pytest.raises(SinkError, match="No space left"):
            sink.write(np.zeros((10, 2), np.float32))
