"""A file as the input of a live run: it goes at the pace of the output device."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from streamer.audio import Samples
from streamer.files import Source
from streamer.live.realtime.ports import CapturePort
from streamer.live.settings import LiveSettings
from streamer.pipeline.channels import to_model
from streamer.pipeline.fifo import Fifo
from streamer.pipeline.resample import make_resampler

BLOCK_FRAMES = 8192
KEPT_SECONDS = 60
"""A loop up to this long is kept in memory: many files can only be read from their beginning, and
the engine cannot wait until the reading has come to the start of the loop again."""


class Player:
    """Feeds a capture port from a file, as if a device had recorded it.

    It plays the part from ``settings.start`` to ``settings.end``, with ``settings.loop`` again and
    again; silence follows. ``length_seconds`` is the length of the whole song. At first it is the
    stated length (None: not stated); after reading to the end it is exact.

    Raises:
        SourceError: the file cannot be read.
    """

    def __init__(self, source: Source, capture: CapturePort, settings: LiveSettings) -> None:
        self._capture = capture
        self._source = source
        self._loop = settings.loop
        self._start_seconds = settings.start
        self._start_frame = round(settings.start * source.samplerate)
        self._part_frames: int | None = None
        if settings.end is not None:
            self._part_frames = round(settings.end * source.samplerate) - self._start_frame
        self._kept: list[Samples] = []
        self._pass_seconds: float | None = None
        self._queue = Fifo()
        self._blocks = self._stereo(settings)
        self.length_seconds = source.seconds
        self.fed_frames = 0
        self.end_frame: int | None = None
        self._read()  # before the devices run: it takes time to reach the start

    def play(self, until_frame: int) -> None:
        """Feed the file up to that frame of the stream."""
        while self.fed_frames < until_frame:
            if not self._queue.frames and not self._read():
                self._queue.push(np.zeros((until_frame - self.fed_frames, 2), np.float32))
            frames = min(until_frame - self.fed_frames, self._queue.frames)
            self._capture.feed(self._queue.pop(frames))
            self.fed_frames += frames

    def song_seconds(self, frame: float) -> float:
        """Return the second of the song at that frame of the stream."""
        seconds = max(0.0, frame / self._capture.samplerate)
        once = self._pass_seconds
        if once:  # else it is still in the first pass, or the file is empty
            seconds = seconds % once if self._loop else min(seconds, once)
        return self._start_seconds + seconds

    def _read(self) -> bool:
        """Read on; return False if the file has ended for good."""
        if self.end_frame is not None:
            return False
        for block in self._blocks:
            self._queue.push(block)
            if self._queue.frames:
                return True
        self.end_frame = self.fed_frames
        return False

    def _stereo(self, settings: LiveSettings) -> Iterator[Samples]:
        """Yield the sound to play, in stereo and at the rate of the device."""
        rate = self._source.samplerate
        resampler = make_resampler(rate, self._capture.samplerate, 2, settings.resampler)
        while True:
            frames = 0
            for block in self._kept or self._part():
                frames += len(block)
                yield resampler.feed(block)
            if self._part_frames is None:
                self.length_seconds = (self._start_frame + frames) / rate
            self._pass_seconds = frames / rate
            if not self._loop or not frames:
                break
        yield resampler.flush()

    def _part(self) -> Iterator[Samples]:
        """Yield the part once, in stereo, and keep it if it is short."""
        if self._start_frame:
            self._source.seek(self._start_frame)
        elif self._pass_seconds is not None:
            self._source.reopen()
        left = sys.maxsize if self._part_frames is None else self._part_frames
        kept: list[Samples] = []
        kept_frames = 0
        for block in self._source.blocks(BLOCK_FRAMES):
            stereo = to_model(block[:left], 2)
            left -= len(stereo)
            kept_frames += len(stereo)
            if kept_frames <= KEPT_SECONDS * self._source.samplerate:
                kept.append(stereo)
            yield stereo
            if not left:
                break
        if self._loop and sum(map(len, kept)) == kept_frames:
            self._kept = kept
