"""The WAV format as we write it, to files and to pipes: RIFF up to 4 GiB, RF64 beyond.

Every header keeps room for RF64's sizes in a JUNK chunk (EBU Tech 3306, "RF64: An extended file
format for audio"). So a file of unknown length can become RF64 with one write.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from streamer.audio import Samples
from streamer.files.quantise import Quantiser, SampleFormat

_SAMPLE_BYTES: dict[SampleFormat, int] = {"int16": 2, "int24": 3, "float32": 4}

# The size that stands for "unknown" on a pipe, as FFmpeg writes it.
_UNKNOWN = 0xFFFFFFFF
_PCM, _IEEE_FLOAT = 1, 3

# How long the JUNK or ds64 chunk is.
_SIZES_BYTES = 36

# The most bytes that a file's 32 bit sizes can count.
RIFF_LIMIT = _UNKNOWN


def frame_bytes(channels: int, sample_format: SampleFormat) -> int:
    """How many bytes a frame takes."""
    return _SAMPLE_BYTES[sample_format] * channels


def wav_header(
    samplerate: int,
    channels: int,
    sample_format: SampleFormat,
    frames: int | None,
    *,
    riff_limit: int = RIFF_LIMIT,
    bext: bytes = b"",
) -> bytes:
    """Return everything before the samples; ``frames`` is None if the length is unknown.

    ``bext`` is the body of such a chunk (`streamer.files.bwf`), empty for none.

    Always the same length for one format and length of ``bext``. A file of more than ``riff_limit``
    bytes is RF64.
    """
    kind = _IEEE_FLOAT if sample_format == "float32" else _PCM
    block = frame_bytes(channels, sample_format)
    bits = 8 * _SAMPLE_BYTES[sample_format]
    layout = struct.pack("<HHIIHH", kind, channels, samplerate, samplerate * block, block, bits)
    count = frames or 0
    chunks = _chunk(b"bext", bext) if bext else b""
    chunks += _chunk(b"fmt ", layout + b"\0\0" if kind == _IEEE_FLOAT else layout)
    if kind == _IEEE_FLOAT:
        chunks += _chunk(b"fact", struct.pack("<I", min(count, _UNKNOWN)))
    data_bytes = count * block
    riff_bytes = len(b"WAVE") + _SIZES_BYTES + len(chunks) + 8 + data_bytes + data_bytes % 2
    name, sizes = b"RIFF", _chunk(b"JUNK", bytes(28))
    if riff_bytes + 8 > riff_limit:
        name = b"RF64"
        sizes = _chunk(b"ds64", struct.pack("<QQQI", riff_bytes, data_bytes, count, 0))
    if frames is None or name == b"RF64":
        riff_bytes = data_bytes = _UNKNOWN
    head = name + struct.pack("<I", riff_bytes) + b"WAVE"
    return head + sizes + chunks + b"data" + struct.pack("<I", data_bytes)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body


class PcmCoder:
    """Turns float32 ``(frames, channels)`` into interleaved little-endian samples, in order."""

    def __init__(
        self, sample_format: SampleFormat, *, dither: bool, seed: int | Sequence[int]
    ) -> None:
        self.sample_format = sample_format
        self._quantiser = None
        if sample_format != "float32":
            bits = 8 * _SAMPLE_BYTES[sample_format]
            self._quantiser = Quantiser(bits, dither=dither, seed=seed)

    def feed(self, samples: Samples) -> bytes:
        """The bytes of the next samples."""
        if self._quantiser is None:
            return samples.astype("<f4").tobytes()
        whole = self._quantiser.feed(samples)
        if self._quantiser.bits == 16:
            return whole.astype("<i2").tobytes()
        return whole.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


class WavWriter:
    """Writes a WAV into a seekable file. The header gets its sizes on demand and at the end.

    If the file was opened with ``buffering=0``, it is a valid WAV up to the last `refresh`,
    whatever stops the program. Samples and pad byte are written before the header that counts them.
    The header is one write within the file's first page, which the system does whole or not at all.
    After an OSError in `write` or `skip`, `close` still saves the frames that were written.
    """

    def __init__(
        self,
        file: BinaryIO,
        samplerate: int,
        channels: int,
        coder: PcmCoder,
        *,
        riff_limit: int = RIFF_LIMIT,
        bext: bytes = b"",
    ) -> None:
        self._file = file
        self._layout = samplerate, channels, coder.sample_format
        self._coder = coder
        self._riff_limit = riff_limit
        self._frame_bytes = frame_bytes(channels, coder.sample_format)
        self._data_bytes = 0
        self._bext = bext
        header = wav_header(*self._layout, 0, bext=bext)
        self._header_bytes = len(header)
        file.write(header)

    @property
    def frames(self) -> int:
        """Whole frames that the file has taken."""
        return self._data_bytes // self._frame_bytes

    def stamp(self, bext: bytes) -> None:
        """Have another bext chunk, as long as the first, from the next header on."""
        assert len(bext) == len(self._bext)
        self._bext = bext

    def write(self, samples: Samples) -> None:
        """Append float32 ``(frames, channels)``."""
        data = memoryview(self._coder.feed(samples))
        # An unbuffered file may take a part, as the disk fills up; only the next call says why.
        while data:
            count = self._file.write(data)
            self._data_bytes += count
            data = data[count:]

    def skip(self, frames: int) -> None:
        """Append silence, as a hole that takes no space where the file system knows holes."""
        if frames:
            end = self._header_bytes + self._data_bytes + frames * self._frame_bytes
            # The last byte makes the hole: to truncate up to here would make XFS wait for the disk.
            self._file.seek(end - 1)
            self._file.write(b"\0")
            self._data_bytes = end - self._header_bytes

    def refresh(self) -> None:
        """Make the file valid as it is; more can follow."""
        if self._data_bytes % 2:
            self._file.write(b"\0")
        self._put_sizes(self.frames)
        # The next sample takes the place of the pad byte.
        self._file.seek(self._header_bytes + self._data_bytes)

    def close(self, frames: int | None = None) -> None:
        """Pad to an even length and correct the sizes; an incomplete frame is removed.

        With ``frames`` the file ends there; it holds at least as many.

        Raises:
            OSError: it cannot be done. If only the pad byte has no room, the file is valid without
                its last frame.
        """
        frames = self.frames if frames is None else frames
        try:
            self._end(frames)
        except OSError:
            self._end(frames // 2 * 2)
            raise

    def _end(self, frames: int) -> None:
        data_bytes = frames * self._frame_bytes
        size = self._header_bytes + data_bytes + data_bytes % 2
        if self._file.seek(0, io.SEEK_END) != size:
            self._file.truncate(size)
        self._put_sizes(frames)

    def _put_sizes(self, frames: int) -> None:
        self._file.flush()
        self._file.seek(0)
        self._file.write(
            wav_header(*self._layout, frames, riff_limit=self._riff_limit, bext=self._bext)
        )
        self._file.flush()

    def drop(self) -> None:
        """Nothing to close; the file's content is worthless."""
