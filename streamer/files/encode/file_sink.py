"""Write one stem to one file: WAV, FLAC, MP3, Ogg Vorbis, Opus or M4A."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

from streamer.audio import Samples
from streamer.errors import SettingsError
from streamer.files.bwf import TimeStamp, bext_body
from streamer.files.encode.sink import Encoder, FileOutput, Sink
from streamer.files.encode.wav import PcmCoder, WavWriter
from streamer.files.quantise import Quantiser, SampleFormat
from streamer.files.tags import write_tags

Format = Literal["wav", "flac", "mp3", "ogg", "opus", "m4a"]

OPUS_BIT_RATE = 192_000
AAC_BIT_RATE = 256_000


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a stem is written.

    ``sample_format`` is for wav and flac (flac has no floats: float32 becomes 24 bits).
    ``mp3_bitrate`` (kb/s) and ``mp3_preset`` (2 best to 7 fastest) are for mp3. Dither applies to
    16 and 24 bits. Its noise comes from ``seed`` and the file's name, so stems do not share it.
    With a ``stamp`` a WAV is a Broadcast Wave that tells when its sound begins.

    Raises:
        SettingsError: a value cannot be used.
    """

    format: Format = "wav"
    sample_format: SampleFormat = "int16"
    mp3_bitrate: int = 320
    mp3_preset: int = 2
    dither: bool = True
    seed: int = 0
    stamp: TimeStamp | None = None

    def __post_init__(self) -> None:
        for name, kind in (("format", Format), ("sample_format", SampleFormat)):
            value = getattr(self, name)
            if value not in get_args(kind):
                raise SettingsError(f"{name}={value} must be one of {', '.join(get_args(kind))}")
        if not 8 <= self.mp3_bitrate <= 320:
            raise SettingsError(f"mp3_bitrate={self.mp3_bitrate} must be 8 to 320 kb/s; try 320")
        if not 2 <= self.mp3_preset <= 7:
            raise SettingsError(f"mp3_preset={self.mp3_preset} must be 2 to 7; try 2, the best")
        if self.seed < 0:
            raise SettingsError(f"seed={self.seed} must be 0 or more; try 0")

    @property
    def extension(self) -> str:
        """What the file's name ends with, without the dot."""
        return self.format


class StemEncoder(Encoder, Protocol):
    """An encoder of one stream of audio."""

    def write(self, samples: Samples, /) -> None:
        """Append float32 ``(frames, channels)``."""


class FileSink(FileOutput, Sink):
    """One stem's file. It appears under its name only when it is whole.

    ``name`` is the stem's (default: the file's). If the format does not take the sample rate,
    ``note`` tells which one is used instead.

    Raises:
        OutputExistsError: the file exists and ``overwrite`` is not set.
        SinkError: it cannot be opened for writing, or the format does not take such audio.
    """

    _encoder: StemEncoder | None = None

    def __init__(
        self,
        path: Path,
        samplerate: int,
        channels: int,
        encoding: Encoding,
        *,
        name: str | None = None,
        tags: Mapping[str, str] | None = None,
        overwrite: bool = False,
    ) -> None:
        super().__init__(path, overwrite=overwrite)
        self._encoding, self._name = encoding, path.stem if name is None else name
        self._tags = tags or {}
        with self._guard():
            self._encoder = self._new_encoder(samplerate, channels)

    def write(self, samples: Samples) -> None:
        """See `Sink.write`."""
        assert self._encoder is not None
        with self._guard():
            self._encoder.write(samples)

    def _dress(self, path: Path) -> None:
        write_tags(path, self._encoding.format, self._tags)

    def _new_encoder(self, samplerate: int, channels: int) -> StemEncoder:
        encoding, file = self._encoding, self._part.file
        stem = f"{self._name}{self._part.target.suffix}"
        seed = [encoding.seed, zlib.crc32(stem.encode(errors="surrogateescape"))]
        if encoding.format == "wav":
            coder = PcmCoder(encoding.sample_format, dither=encoding.dither, seed=seed)
            bext = b""
            if encoding.stamp is not None:
                depth = encoding.sample_format
                bext = bext_body(self._name, encoding.stamp, samplerate, channels, depth)
            return WavWriter(file, samplerate, channels, coder, bext=bext)
        if encoding.format in ("flac", "ogg"):
            from streamer.files.encode.write_snd import SoundfileWriter

            quantiser = None
            if encoding.format == "flac":
                bits = 16 if encoding.sample_format == "int16" else 24
                quantiser = Quantiser(bits, dither=encoding.dither, seed=seed)
            return SoundfileWriter(file, samplerate, channels, quantiser)
        from streamer.files.encode.write_av import CODECS, AvWriter, nearest_rate

        codec = CODECS[encoding.format]
        rate = nearest_rate(codec, samplerate)
        if rate != samplerate:
            self.note = f"{encoding.format} does not take {samplerate} Hz; written at {rate} Hz"
        options = {"b": str(OPUS_BIT_RATE if encoding.format == "opus" else AAC_BIT_RATE)}
        if encoding.format == "mp3":
            bit_rate, level = 1000 * encoding.mp3_bitrate, encoding.mp3_preset
            options = {"b": str(bit_rate), "compression_level": str(level)}
        return AvWriter(file, codec, samplerate, channels, options=options)
