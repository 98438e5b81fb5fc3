"""FLAC and Ogg Vorbis through libsndfile."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import BinaryIO

import numpy as np
import soundfile

from streamer.audio import Samples
from streamer.files.quantise import Quantiser

# libvorbis lays a whole write on the stack, and a long one overflows it.
_SLICE_FRAMES = 8192

# Vorbis quality 8 of 10, about 256 kb/s in stereo.
_VORBIS_LEVEL = 0.2


class SoundfileWriter:
    """Writes FLAC (with a quantiser) or Ogg Vorbis (without) into an open file.

    Raises:
        soundfile.LibsndfileError: the format does not take that rate or that many channels.
    """

    def __init__(
        self,
        file: BinaryIO,
        samplerate: int,
        channels: int,
        quantiser: Quantiser | None,
    ) -> None:
        self._descriptor = file.fileno()
        self._quantiser = quantiser
        self._empty = True
        kind = {"format": "OGG", "subtype": "VORBIS", "compression_level": _VORBIS_LEVEL}
        if quantiser is not None:
            kind = {"format": "FLAC", "subtype": f"PCM_{quantiser.bits}"}
        self._out = soundfile.SoundFile(
            self._descriptor,
            "w",
            samplerate=samplerate,
            channels=channels,
            closefd=False,
            **kind,
        )

    def write(self, samples: Samples) -> None:
        """Append float32 ``(frames, channels)``.

        Raises:
            OSError: the disk is full; nothing else can stop libsndfile here.
        """
        for start in range(0, len(samples), _SLICE_FRAMES):
            block = samples[start : start + _SLICE_FRAMES]
            try:
                if self._quantiser is None:
                    self._out.write(block)
                else:
                    self._out.write(self._quantiser.feed(block) << (32 - self._quantiser.bits))
            except (soundfile.LibsndfileError, AssertionError):
                raise self._write_error() from None
            self._empty = False

    def close(self) -> None:
        """Finish the file; a FLAC to which nothing was written gets one silent frame.

        Raises:
            OSError: the last bytes did not reach the disk.
        """
        if self._empty and self._quantiser is not None:
            # libsndfile leaves a FLAC without samples 0 bytes long, which nothing reads.
            self.write(np.zeros((1, self._out.channels), np.float32))
        try:
            self._out.close()
        except soundfile.LibsndfileError:
            raise self._write_error() from None

    def _write_error(self) -> OSError:
        """Find out why libsndfile could not write (it does not tell) by a write of our own."""
        try:
            os.lseek(self._descriptor, 0, os.SEEK_END)
            os.write(self._descriptor, bytes(65536))
        except OSError as error:
            return error
        return OSError(errno.ENOSPC, "the disk is full")

    def drop(self) -> None:
        """Close the encoder; the file's content is worthless."""
        with contextlib.suppress(soundfile.LibsndfileError):
            self._out.close()
