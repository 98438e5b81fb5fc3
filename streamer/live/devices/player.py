"""A file as the input of a live run: it goes at the pace of the output device."""

from __future__ import annotations

import math
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator

import numpy as np

from streamer.audio import Samples
from streamer.errors import SettingsError
from streamer.files import Source
from streamer.live.devices.song_time import SongTime
from streamer.live.realtime.callbacks import FADE_FRAMES
from streamer.live.realtime.ports import CapturePort
from streamer.live.settings import LiveSettings
from streamer.pipeline.channels import to_model
from streamer.pipeline.fifo import Fifo
from streamer.pipeline.resample import make_resampler
from streamer.sentences import shown

BLOCK_FRAMES = 8192
KEPT_SECONDS = 60
"""So much of a loop is kept in memory, from its start on: many files can only be read from their
beginning, and the engine cannot wait until the reading has come back."""
_CLOSE_SECONDS = 1.0
_ROUNDING_SECONDS = 1e-3
"""OSC brings numbers of 32 bits: of some hours, they are no closer."""
_LONGEST_SECONDS = 1e6
"""No song whose length is not known is longer."""


class Player:
    """Feeds a capture port from a file, as if a device had recorded it.

    It plays the part from ``settings.start`` to ``settings.end``, with ``settings.loop`` again and
    again; silence follows. ``length_seconds`` is the length of the whole song. At first it is the
    stated length (None: not stated); after reading to the end it is exact.

    While it is paused, and until the reading has come to the place where it is to go on, it feeds
    silence. It fades out before and in after, so nothing clicks. The search for such a place has a
    thread of its own, unless ``in_place``. Any thread may call `set_playing` and `seek`; the other
    methods are for the engine's.

    Raises:
        SourceError: the file cannot be read.
    """

    def __init__(
        self,
        source: Source,
        capture: CapturePort,
        settings: LiveSettings,
        *,
        in_place: bool = False,
    ) -> None:
        self._capture = capture
        self._source = source
        self._resampler = settings.resampler
        self._loop = settings.loop
        self._in_place = in_place
        self._begin_seconds, self._end_seconds = settings.start, settings.end
        self._begin_frame = round(settings.start * source.samplerate)
        self._end_frame = sys.maxsize
        if settings.end is not None:
            self._end_frame = round(settings.end * source.samplerate)
        self._time = SongTime(capture.samplerate, settings.start, loop=settings.loop)
        self._kept: list[Samples] = []
        self._kept_all = False
        self._way_back: _Search | None = None
        self._touched = False
        self._queue, self._tail = Fifo(), Fifo()
        self._wanted, self._playing = True, True
        self._seeks: deque[float] = deque(maxlen=1)
        self._search: _Search | None = None
        self._fade_left = 0
        self._blocks = self._stereo(self._begin_frame)
        self.length_seconds = source.seconds
        self.fed_frames = 0
        self.end_frame: int | None = None
        self._read()  # before the devices run: it takes time to reach the start

    @property
    def playing(self) -> bool:
        """Whether it goes on, or holds its position."""
        return self._wanted

    def set_playing(self, on: bool) -> None:
        """Go on, or hold the position."""
        self._wanted = on

    def seek(self, seconds: object) -> None:
        """Go to a second of the song, paused or not; 0 is the beginning of the part that is played.

        Raises:
            SettingsError: the part that is played has no such second, or the song comes through a
                pipe.
        """
        if not self._source.rewindable:
            raise SettingsError("the song comes through a pipe, which cannot go back; play a file")
        begin = self._begin_seconds
        end = self._end_seconds if self._end_seconds is not None else self.length_seconds
        number = seconds if isinstance(seconds, int | float) else math.nan
        last = end or _LONGEST_SECONDS
        within = begin - _ROUNDING_SECONDS <= number <= last + _ROUNDING_SECONDS
        if isinstance(seconds, bool) or not (within or number == 0):
            until = f"and {end:.1f}" if end else "and the end"
            raise SettingsError(
                f"position={shown(seconds)} must be between {begin:g} {until}, in "
                f"seconds of the song; try {begin:g}"
            )
        self._seeks.append(min(max(float(number), begin), last))

    def play(self, until_frame: int) -> None:
        """Feed the file up to that frame of the stream."""
        self._obey()
        while self.fed_frames < until_frame:
            block = self._next(until_frame - self.fed_frames)
            self._capture.feed(block)
            self.fed_frames += len(block)

    def song_seconds(self, frame: float) -> float:
        """Return the second of the song at that frame of the stream."""
        return self._time.seconds(frame)

    def close(self) -> None:
        """Close the file, unless a search in it goes on and on: then the process's end does."""
        searches = (self._search, self._way_back)
        if all(one is None or one.wait(_CLOSE_SECONDS) for one in searches):
            self._source.close()

    def _obey(self) -> None:
        """Do what was asked for since the last time."""
        if self._wanted != self._playing:
            self._playing = self._wanted
            if self._search is None:
                self._turn()
        if self._search is not None and self._search.done:
            self._queue.push(self._search.found())
            self._search = None
            if self._playing:
                self._turn()
        if self._seeks and self._search is None:
            self._go_to(self._seeks.popleft())

    def _turn(self) -> None:
        """Go on or hold, from the frame that is fed next."""
        if self._playing:
            self._fade_left = FADE_FRAMES
        else:
            self._fade_out()
        self._time.turn(self._free_frame, moving=self._playing)

    @property
    def _free_frame(self) -> int:
        """The first frame of the stream for which nothing is chosen yet."""
        return self.fed_frames + self._tail.frames

    def _go_to(self, seconds: float) -> None:
        if self._playing:
            self._fade_out()
        self._time.turn(self._free_frame, seconds=seconds, moving=False)
        self._queue, self.end_frame = Fifo(), None
        frame = round(seconds * self._source.samplerate)
        self._blocks.close()
        self._blocks = self._stereo(frame)
        self._search = _Search(self._blocks, in_place=self._in_place)

    def _fade_out(self) -> None:
        """Let what plays now end in a ramp."""
        while self._queue.frames < FADE_FRAMES and self._read():
            pass
        frames = min(self._queue.frames, FADE_FRAMES)
        if frames and not self._tail.frames:
            ramp = (1 - np.arange(1, frames + 1) / frames).astype(np.float32)
            self._tail.push(self._faded_in(self._queue.pop(frames)) * ramp[:, np.newaxis])

    def _next(self, frames: int) -> Samples:
        """Return the next frames, at most ``frames``."""
        if self._tail.frames:
            return self._tail.pop(min(frames, self._tail.frames))
        if not self._playing or self._search is not None or not self._has_more():
            return np.zeros((frames, 2), np.float32)
        return self._faded_in(self._queue.pop(min(frames, self._queue.frames)))

    def _faded_in(self, block: Samples) -> Samples:
        if not self._fade_left:
            return block
        left = self._fade_left - np.arange(len(block))
        self._fade_left = max(0, self._fade_left - len(block))
        gains = np.clip(1 - left / FADE_FRAMES, 0, 1).astype(np.float32)
        return block * gains[:, np.newaxis]

    def _has_more(self) -> bool:
        return self._queue.frames > 0 or self._read()

    def _read(self) -> bool:
        """Read on; return False if the file has ended for good."""
        if self.end_frame is not None:
            return False
        for block in self._blocks:
            self._queue.push(block)
            if self._queue.frames:
                return True
        self.end_frame = self._free_frame + self._queue.frames
        return False

    def _stereo(self, begin_frame: int) -> Generator[Samples, None, None]:
        """Yield the sound to play, in stereo and at the rate of the device."""
        rate = self._source.samplerate
        resampler = make_resampler(rate, self._capture.samplerate, 2, self._resampler)
        while True:
            frame = begin_frame
            for block in self._part(begin_frame):
                frame += len(block)
                yield resampler.feed(block)
            if frame > begin_frame:  # else the place that was sought is behind the end
                if self._end_seconds is None:
                    self.length_seconds = frame / rate
                self._time.came_to_end((frame - self._begin_frame) / rate)
            if not self._loop or frame == self._begin_frame:
                break
            begin_frame = self._begin_frame
        yield resampler.flush()

    def _part(self, begin_frame: int) -> Iterator[Samples]:
        """Yield the part once from a frame on, in stereo.

        While the beginning of a long loop plays, which is kept, a thread goes for the rest.
        """
        if self._way_back is not None:
            self._way_back.wait()
        if self._loop and not self._kept and begin_frame != self._begin_frame:
            # who sought waits for this; when the part begins again the engine cannot wait
            for _ in self._keeping(self._file(self._begin_frame)):
                if self._kept:
                    break
        if self._kept_all:
            yield from _from_frame(self._kept, begin_frame - self._begin_frame)
        elif begin_frame != self._begin_frame or not self._loop:
            yield from self._file(begin_frame)
        elif not self._kept:
            yield from self._keeping(self._file(begin_frame))
        else:
            rest = self._file(begin_frame + sum(map(len, self._kept)))
            self._way_back = _Search(rest, in_place=self._in_place)
            yield from self._kept
            self._way_back.wait()
            yield self._way_back.found()
            yield from rest

    def _file(self, begin_frame: int) -> Generator[Samples, None, None]:
        """Yield the file from a frame on, up to the end of the part."""
        if begin_frame:
            self._source.seek(begin_frame)
        elif self._touched:
            self._source.reopen()
        self._touched = True
        left = self._end_frame - begin_frame
        for block in self._source.blocks(BLOCK_FRAMES) if left else ():
            stereo = to_model(block[:left], 2)
            left -= len(stereo)
            yield stereo
            if not left:
                break

    def _keeping(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """Keep the beginning of a loop, or all of one that is short."""
        kept: list[Samples] = []
        room = KEPT_SECONDS * self._source.samplerate
        for block in blocks:
            room -= len(block)
            if room >= 0:
                kept.append(block)
            else:
                self._kept = kept
            yield block
        self._kept, self._kept_all = kept, room >= 0


class _Search:
    """Brings the reading of a file to a place, which may take as long as reading up to there."""

    def __init__(self, blocks: Iterator[Samples], *, in_place: bool) -> None:
        self._blocks = blocks
        self._first: Samples = np.zeros((0, 2), np.float32)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="song search", daemon=True)
        if in_place:
            self._run()
        else:
            self._thread.start()

    def _run(self) -> None:
        try:
            self._first = next(self._blocks, self._first)
        except Exception as error:  # raised again in the thread that asked for the place
            self._error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def found(self) -> Samples:
        """Return the first block there, or none at the end; raise what went wrong."""
        if self._error is not None:
            raise self._error
        return self._first

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end, at most so long; return whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return self.done


def _from_frame(blocks: list[Samples], frame: int) -> Iterator[Samples]:
    for block in blocks:
        if frame < len(block):
            yield block[max(frame, 0) :]
        frame -= len(block)
