"""Write one stem to standard output or any pipe, as WAV or as raw samples."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Literal

from streamer.audio import Samples
from streamer.errors import SinkError
from streamer.files.encode.sink import Sink
from streamer.files.encode.wav import PcmCoder, wav_header


class PipeSink(Sink):
    """A stream that cannot be taken back: ``abort`` only stops.

    ``coder`` makes the bytes of the samples. ``raw`` is these with no header. ``wav`` states the
    right sizes if ``frames`` is given; otherwise it marks them as unknown, as FFmpeg does.

    Raises:
        SinkError: the reader has gone away.
    """

    def __init__(
        self,
        stream: BinaryIO,
        samplerate: int,
        channels: int,
        coder: PcmCoder,
        container: Literal["wav", "raw"] = "wav",
        *,
        frames: int | None = None,
    ) -> None:
        self._stream = stream
        self._coder = coder
        self._padded = container == "wav"
        self._sent_bytes = 0
        if container == "wav":
            with self._guard():
                stream.write(wav_header(samplerate, channels, coder.sample_format, frames))

    def write(self, samples: Samples) -> None:
        """See `Sink.write`."""
        with self._guard():
            data = self._coder.feed(samples)
            self._stream.write(data)
            self._sent_bytes += len(data)

    def commit(self) -> None:
        """Send the rest; the stream stays open."""
        with self._guard():
            if self._padded and self._sent_bytes % 2:
                self._stream.write(b"\0")
                self._sent_bytes += 1
            self._stream.flush()

    def abort(self) -> None:
        """Nothing that was sent can be taken back."""

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self._silence()
            raise SinkError("The reader of the pipe went away before the end") from None
        except OSError as error:
            self._silence()
            raise SinkError(
                f"The pipe cannot be written ({error.strerror}); look at what reads it"
            ) from None

    def _silence(self) -> None:
        """Send what is still buffered nowhere, else Python complains of it when it exits."""
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
