"""Audio in memory as a source, so that it takes the same path as a file."""

from __future__ import annotations

from collections.abc import Iterator

from streamer.audio import Samples
from streamer.files.decode.source import BLOCK_FRAMES, Source


class MemorySource(Source):
    """``audio`` is ``(frames, channels)``, float32, at ``samplerate`` in Hz."""

    rewindable = True

    def __init__(self, name: str, audio: Samples, samplerate: int) -> None:
        self.name = name
        self.samplerate = samplerate
        self.frames: int = len(audio)
        self.channels = audio.shape[1]
        self.seconds = self.frames / samplerate
        self.tags = {}
        self.sample_format = "float32"
        self.losses = []
        self._audio = audio
        self._begin = 0

    def blocks(self, block_frames: int = BLOCK_FRAMES) -> Iterator[Samples]:
        """See `Source.blocks`."""
        for start in range(self._begin, self.frames, block_frames):
            yield self._audio[start : start + block_frames]

    def reopen(self) -> None:
        """See `Source.reopen`."""
        self._begin = 0

    def seek(self, frame: int) -> None:
        """See `Source.seek`."""
        self._begin = frame

    def close(self) -> None:
        """See `Source.close`; there is nothing to close."""
