"""MP3, Opus, AAC and ALAC through PyAV (FFmpeg), one stream or several of equal length."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import BinaryIO, NamedTuple

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from streamer.errors import SinkError
from streamer.files.av_frames import from_planar

# FFmpeg's layout for a number of channels.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}

# A file with less in it than this reads as empty or longer, so silence is added up to it.
_LEAST_FRAMES = 64

# What FFmpeg calls an array of that type, channel by channel.
_FORMATS = {"float32": "fltp", "int16": "s16p", "int32": "s32p"}

_MPEG_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


class Codec(NamedTuple):
    """An encoder and what it takes: its rates (empty: any) and its most channels."""

    encoder: str
    container: str
    rates: tuple[int, ...]
    most_channels: int


CODECS = {
    "mp3": Codec("libmp3lame", "mp3", _MPEG_RATES, 2),
    "opus": Codec("libopus", "opus", (48000,), 8),
    "m4a": Codec("aac", "ipod", (*_MPEG_RATES, 64000, 88200, 96000), 8),
    "alac": Codec("alac", "ipod", (), 8),
}


def nearest_rate(codec: Codec, samplerate: int) -> int:
    """Return the rate that the codec takes instead: the next higher one, else its highest."""
    if not codec.rates or samplerate in codec.rates:
        return samplerate
    return min((rate for rate in codec.rates if rate > samplerate), default=max(codec.rates))


class _Drain:
    """A writable file for FFmpeg. It keeps an exception (Ctrl-C too), which we raise later.

    An exception cannot pass through FFmpeg. After the first one all data is accepted and lost.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell = file.tell
        self.error: BaseException | None = None

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                return self._file.write(data)
            except BaseException as error:
                self.error = error
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        if self.error is None:
            try:
                return self._file.seek(offset, whence)
            except BaseException as error:
                self.error = error
        return offset


class AvWriter:
    """Encodes ``streams`` streams of audio into an open file.

    Arrays are ``(frames, channels)`` of ``dtype``: float32, or for ALAC int16, or int32 whose upper
    24 bits count. ``options`` are FFmpeg's for the encoder, such as the bit rate ``b``.

    Raises:
        SinkError: the codec does not take that many channels.
    """

    def __init__(
        self,
        file: BinaryIO,
        codec: Codec,
        samplerate: int,
        channels: int,
        *,
        streams: int = 1,
        dtype: str = "float32",
        options: dict[str, str],
    ) -> None:
        if channels > codec.most_channels:
            raise SinkError(
                f"{codec.encoder} holds at most {codec.most_channels} channels, not {channels};"
                " choose wav or flac"
            )
        self._samplerate = samplerate
        self._channels = channels
        self._layout = _LAYOUTS[channels]
        self._dtype = dtype
        self._position = 0
        self._drain = _Drain(file)
        # In MP4 the length is told in movie ticks: with one tick a frame it is exact.
        exact = {"movie_timescale": str(samplerate)} if codec.container == "ipod" else {}
        self._container = av.open(self._drain, "w", format=codec.container, options=exact)
        self._streams: list[AudioStream] = []
        # codecs let other threads run, so the streams of one file are encoded beside each other
        self._pool = ThreadPoolExecutor(streams, "stemstream-encoder") if streams > 1 else None
        for index in range(streams):
            stream = self._container.add_stream(
                codec.encoder, rate=nearest_rate(codec, samplerate), options=options
            )
            assert isinstance(stream, AudioStream)
            stream.codec_context.layout = self._layout
            if codec.encoder == "alac":
                stream.codec_context.format = _FORMATS[dtype]
            stream.disposition = av.stream.Disposition(0 if index else 1)
            self._streams.append(stream)
        self._run(self._container.start_encoding)

    def write(self, *streams: NDArray[np.generic]) -> None:
        """Append to each stream; all arrays have the same shape."""
        self._run(lambda: self._encode(streams))

    def _encode(self, streams: tuple[NDArray[np.generic], ...]) -> None:
        if len(streams[0]) == 0:
            return
        frames = []
        for samples in streams:
            frame = from_planar(samples, _FORMATS[self._dtype], self._layout)
            frame.sample_rate = self._samplerate
            frame.pts = self._position
            frame.time_base = Fraction(1, self._samplerate)
            frames.append(frame)
        self._mux(frames)
        self._position += len(streams[0])

    def _mux(self, frames: Sequence[AudioFrame | None]) -> None:
        """Encode a frame of each stream, or its rest (None); write what comes in their order."""
        side_by_side = map if self._pool is None else self._pool.map
        for packets in side_by_side(AudioStream.encode, self._streams, frames):
            self._container.mux(packets)

    def close(self) -> None:
        """Encode the rest and finish the container."""
        self._run(self._finish)

    def drop(self) -> None:
        """Close the encoders; the file's content is worthless."""
        self._end_threads()
        with contextlib.suppress(Exception):
            self._container.close()

    def _finish(self) -> None:
        if self._position < _LEAST_FRAMES:
            silence = np.zeros((_LEAST_FRAMES - self._position, self._channels), self._dtype)
            self._encode((silence,) * len(self._streams))
        self._mux([None] * len(self._streams))
        self._end_threads()
        self._container.close()

    def _end_threads(self) -> None:
        """Wait for those that still encode: what they work on must not be closed."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, step: Callable[[], object]) -> None:
        try:
            step()
        finally:
            if self._drain.error is not None:
                raise self._drain.error
