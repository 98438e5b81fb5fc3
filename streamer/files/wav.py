"""The WAV format as we write it, to files and to pipes: RIFF up to 4 GiB, RF64 beyond.

Every header keeps room for RF64's sizes in a JUNK chunk (EBU Tech 3306, "RF64: An extended file
format for audio"), so that a file whose length nobody knew can become RF64 when it is finished.
"""

from __future__ import annotations

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


def wav_header(
    samplerate: int,
    channels: int,
    sample_format: SampleFormat,
    frames: int | None,
    *,
    riff_limit: int = _UNKNOWN,
) -> bytes:
    """All that comes before the samples; ``frames`` is None where the length is unknown.

    Always the same length for one format. A file of more than ``riff_limit`` bytes is RF64.
    """
    size = _SAMPLE_BYTES[sample_format]
    kind = _IEEE_FLOAT if sample_format == "float32" else _PCM
    frame_bytes = size * channels
    layout = struct.pack(
        "<HHIIHH", kind, channels, samplerate, samplerate * frame_bytes, frame_bytes, 8 * size
    )
    count = frames or 0
    chunks = _chunk(b"fmt ", layout + b"\0\0" if kind == _IEEE_FLOAT else layout)
    if kind == _IEEE_FLOAT:
        chunks += _chunk(b"fact", struct.pack("<I", min(count, _UNKNOWN)))
    data_bytes = count * frame_bytes
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
    """Writes a WAV into a seekable file, and its sizes into the header at the end."""

    def __init__(
        self,
        file: BinaryIO,
        samplerate: int,
        channels: int,
        coder: PcmCoder,
        *,
        riff_limit: int = _UNKNOWN,
    ) -> None:
        self._file = file
        self._layout = samplerate, channels, coder.sample_format
        self._coder = coder
        self._riff_limit = riff_limit
        self._frames = 0
        file.write(wav_header(*self._layout, 0))

    def write(self, samples: Samples) -> None:
        """Append float32 ``(frames, channels)``."""
        self._file.write(self._coder.feed(samples))
        self._frames += len(samples)

    def close(self) -> None:
        """Pad to an even length and put the sizes right."""
        if self._file.tell() % 2:
            self._file.write(b"\0")
        self._file.seek(0)
        self._file.write(wav_header(*self._layout, self._frames, riff_limit=self._riff_limit))
        self._file.flush()

    def drop(self) -> None:
        """Nothing to let go of; what is in the file is worthless."""
