"""A WAV that is refreshed while it grows is valid whenever its writer stops, to the byte."""

from __future__ import annotations

import errno
import io
import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from streamer.audio import Samples
from streamer.files.encode.wav import PcmCoder, WavWriter
from streamer.files.quantise import SampleFormat

Decode = Callable[..., Samples]
FORMATS: tuple[SampleFormat, ...] = ("int16", "int24", "float32")
PAGE_BYTES = 4096


class MemoryFile(io.BytesIO):
    """As a file, and unlike BytesIO, it grows when it is truncated to more than it holds."""

    def truncate(self, size: int | None = None) -> int:
        assert size is not None
        position = self.seek(0, io.SEEK_CUR)
        super().write(bytes(max(0, size - self.seek(0, io.SEEK_END))))
        self.seek(position)
        return super().truncate(size)


class KilledFile(MemoryFile):
    """Keeps what a kill would leave, at every moment of every call.

    The system copies a write page by page and may stop between two. Within a page it is whole.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left: list[bytes] = []

    def write(self, data: Any) -> int:
        data, position = bytes(data), self.tell()
        before = self.getvalue().ljust(position, b"\0")
        first_page_end = (position // PAGE_BYTES + 1) * PAGE_BYTES
        for page_end in range(first_page_end, position + len(data), PAGE_BYTES):
            copied = data[: page_end - position]
            self.left.append(before[:position] + copied + before[page_end:])
        written = super().write(data)
        self.left.append(self.getvalue())
        return written

    def truncate(self, size: int | None = None) -> int:
        size = super().truncate(size)
        self.left.append(self.getvalue())
        return size


class FullFile(MemoryFile):
    """A disk with room for so many bytes: the write that passes it does a part, the next fails."""

    def __init__(self, room_bytes: int) -> None:
        super().__init__()
        self.room_bytes = room_bytes

    def write(self, data: Any) -> int:
        room = self.room_bytes - self.tell()
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(data)[:room])


def writer_of(
    file: io.BytesIO, channels: int, sample_format: SampleFormat, riff_limit: int
) -> WavWriter:
    coder = PcmCoder(sample_format, dither=False, seed=0)
    return WavWriter(file, 8000, channels, coder, riff_limit=riff_limit)


def ramp(frames: int, channels: int) -> Samples:
    """Every sample is another one, and none needs more than 16 bits."""
    count = np.arange(1, frames * channels + 1, dtype=np.float32) % 30_000
    return (count / 32768).reshape(frames, channels)


def stated_sizes(data: bytes) -> tuple[int, int]:
    """The RIFF and the data size that a header states; checks that they lie within the file."""
    at = data.index(b"data", 12) + 8
    riff_bytes, data_bytes = (
        struct.unpack("<I", data[4:8])[0],
        struct.unpack_from("<I", data, at - 4)[0],
    )
    if data[:4] == b"RF64":
        assert riff_bytes == data_bytes == 0xFFFFFFFF
        riff_bytes, data_bytes = struct.unpack_from("<QQ", data, 20)
    assert at + data_bytes + data_bytes % 2 == riff_bytes + 8 <= len(data)
    return riff_bytes, data_bytes


def opened(data: bytes) -> Samples:
    """What soundfile reads of it, and `wave` where it can (no RF64, no floats)."""
    samples, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    if data[:4] == b"RIFF" and data[56:58] == b"\1\0":
        with wave.open(io.BytesIO(data)) as file:
            assert file.getnframes() == len(samples)
            raw = file.readframes(len(samples))
            assert len(raw) == len(samples) * file.getnchannels() * file.getsampwidth()
    return samples


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_format", FORMATS)
def test_valid_at_every_moment(sample_format: SampleFormat, channels: int) -> None:
    file = KilledFile()
    limit = 15_000
    writer = writer_of(file, channels, sample_format, limit)
    samples = ramp(9001, channels)
    safe = position = 0
    heads = set()
    for frames in (1, 0, 2, 5, 700, 1, 1300, 3001, 3991):
        file.left.clear()
        writer.write(samples[position : position + frames])
        position += frames
        writer.refresh()
        for data in file.left:
            heads.add(data[:4])
            riff_bytes, _ = stated_sizes(data)
            assert (data[:4] == b"RF64") == (riff_bytes + 8 > limit)
            got = opened(data)
            assert safe <= len(got) <= position
            np.testing.assert_array_equal(got, samples[: len(got)])
        assert len(opened(file.getvalue())) == position
        safe = position
    assert position == len(samples)
    assert heads == {b"RIFF", b"RF64"}


def test_ffmpeg_reads_what_a_kill_leaves(tmp_path: Path, decode: Decode) -> None:
    file = KilledFile()
    writer = writer_of(file, 1, "int24", 8000)
    samples = ramp(5003, 1)
    for start, end in ((0, 1), (1, 1502), (1502, 5003)):
        writer.write(samples[start:end])
        writer.refresh()
    path = tmp_path / "left.wav"
    for data in file.left:
        path.write_bytes(data)
        got = decode(path, channels=1)
        # Of a file with no samples in its header it reads all there is.
        assert len(got) >= stated_sizes(data)[1] // 3
        np.testing.assert_array_equal(got, samples[: len(got)])


@given(
    st.sampled_from(FORMATS),
    st.sampled_from([1, 3]),
    st.lists(st.tuples(st.sampled_from(["write", "skip"]), st.integers(0, 40)), max_size=12),
)
def test_refreshing_changes_no_byte(
    sample_format: SampleFormat, channels: int, steps: list[tuple[str, int]]
) -> None:
    file, plain = KilledFile(), MemoryFile()
    writer = writer_of(file, channels, sample_format, 400)
    blocks = [ramp(frames, channels) * (step == "write") for step, frames in steps]
    for (step, frames), block in zip(steps, blocks, strict=True):
        if step == "write":
            writer.write(block)
        else:
            writer.skip(frames)
        writer.refresh()
    writer.close()
    for data in file.left:
        stated_sizes(data)
    at_once = writer_of(plain, channels, sample_format, 400)
    at_once.write(np.concatenate([np.zeros((0, channels), np.float32), *blocks]))
    at_once.close()
    assert file.getvalue() == plain.getvalue()
    assert writer.frames == sum(frames for _, frames in steps)


@pytest.mark.parametrize("sample_format", FORMATS)
def test_a_full_disk_leaves_whole_frames(sample_format: SampleFormat) -> None:
    samples = ramp(100, 3)
    for room_bytes in range(400, 440):
        file = FullFile(room_bytes)
        writer = writer_of(file, 3, sample_format, 10_000)
        writer.write(samples[:10])
        writer.refresh()
        writer.skip(3)
        with pytest.raises(OSError, match="No space"):
            writer.write(samples[10:])
        writer.close()
        data = file.getvalue()
        assert stated_sizes(data)[0] + 8 == len(data)
        assert room_bytes - 12 < len(data) <= room_bytes + 1
        got = opened(data)
        assert len(got) == writer.frames >= 13
        np.testing.assert_array_equal(got[:10], samples[:10])
        assert not got[10:13].any()
        np.testing.assert_array_equal(got[13:], samples[10 : len(got) - 3])
