"""A file as the input of a live run: it goes at the pace of the output device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streamer.audio import Samples
from streamer.channels import to_model
from streamer.fifo import Fifo
from streamer.files import Source
from streamer.live.ports import CapturePort
from streamer.resample import make_resampler
from streamer.settings import ResamplingEngine

BLOCK_FRAMES = 8192


class Player:
    """Feeds a capture port from a file, as if a device had recorded it.

    Behind the end silence follows, or with ``loop`` the file again. ``length_seconds`` is how long
    the song is: as the file states it (None: it does not), and for sure once it was read whole.
    """

    def __init__(
        self, source: Source, capture: CapturePort, engine: ResamplingEngine, *, loop: bool
    ) -> None:
        self._capture = capture
        self._source = source
        self._loop = loop
        self._engine: ResamplingEngine = engine
        self._queue = Fifo()
        self._blocks = self._stereo()
        self._pass_seconds: float | None = None
        self.length_seconds = source.seconds
        self.fed_frames = 0
        self.end_frame: int | None = None

    def play(self, until_frame: int, now: float) -> None:
        """Feed the file up to that frame of the stream; ``now`` is the time of the run."""
        while self.fed_frames < until_frame:
            if not self._queue.frames and not self._read():
                self._queue.push(np.zeros((until_frame - self.fed_frames, 2), np.float32))
            frames = min(until_frame - self.fed_frames, self._queue.frames)
            self._capture.feed(self._queue.pop(frames), now)
            self.fed_frames += frames

    def song_seconds(self, frame: float) -> float:
        """Return which second of the song that frame of the stream holds."""
        seconds = max(0.0, frame / self._capture.samplerate)
        once = self._pass_seconds
        if not once:  # still in the first pass, or there is nothing in the file
            return seconds
        return seconds % once if self._loop else min(seconds, once)

    def _read(self) -> bool:
        """Read on; return False where the file has ended for good."""
        if self.end_frame is not None:
            return False
        for block in self._blocks:
            self._queue.push(block)
            if self._queue.frames:
                return True
        self.end_frame = self.fed_frames
        return False

    def _stereo(self) -> Iterator[Samples]:
        rate = self._capture.samplerate
        resampler = make_resampler(self._source.samplerate, rate, 2, self._engine)
        while True:
            frames = 0
            for block in self._source.blocks(BLOCK_FRAMES):
                frames += len(block)
                yield resampler.feed(to_model(block, 2))
            self.length_seconds = self._pass_seconds = frames / self._source.samplerate
            if not self._loop or not frames:
                break
            self._source.reopen()
        yield resampler.flush()
