"""A train of bursts through a cable: it is played, and the return is recorded."""

from __future__ import annotations

import numpy as np

from ringbuffer import Ring
from streamer.audio import Samples
from streamer.live.roundtrip.loopback import LoopbackDelay, burst_train, find_delay


class CableLoop:
    """The train, its place in the stream, and the recording from there on.

    It begins after ``lead_seconds``. The recording goes on for ``reach_seconds`` after its end.
    Positions are frames of the input since it began.
    """

    def __init__(self, samplerate: int, lead_seconds: float, reach_seconds: float) -> None:
        self._samplerate = samplerate
        self._train = burst_train(samplerate)
        frames = len(self._train) + round(reach_seconds * samplerate)
        self._kept = np.zeros((frames, 2), np.float32)
        self._made = self._heard = 0
        self.begin(lead_seconds)

    def begin(self, lead_seconds: float) -> None:
        """Put the train in after ``lead_seconds``, and forget the earlier recording."""
        self._begin = max(self._made, self._heard) + round(lead_seconds * self._samplerate)
        self._kept[:] = 0

    @property
    def heard(self) -> bool:
        """Whether the recording is complete."""
        return self._heard >= self._begin + len(self._kept)

    def exchange(self, block: Samples) -> None:
        """Keep the captured sound, and put the train or silence in its place."""
        self.keep(block)
        block[:] = self._signal(self._made, len(block))[:, np.newaxis]
        self._made += len(block)

    def keep(self, block: Samples) -> None:
        """Take the captured sound, ``(frames, 2)``."""
        first = self._heard - self._begin
        self._heard += len(block)
        kept = self._kept[max(0, first) : max(0, first + len(block))]
        skip = max(0, -first)
        kept[:] = block[skip : skip + len(kept)]

    def play(self, ring: Ring) -> None:
        """Fill a stem ring of one stem with the train, as far as there is room."""
        frames = ring.writable_frames
        stem = np.ones((frames, 3), np.float32)
        stem[:, :2] = self._signal(self._made, frames)[:, np.newaxis]
        self._made += ring.write(stem)

    def _signal(self, start: int, frames: int) -> Samples:
        signal = np.zeros(frames, np.float32)
        first = start - self._begin
        part = self._train[max(0, first) : max(0, first + frames)]
        skip = max(0, -first)
        signal[skip : skip + len(part)] = part
        return signal

    def delay(self) -> LoopbackDelay:
        """Find the train in the recording, on the louder side.

        Raises:
            DeviceError: the train is not there.
        """
        side = int(np.abs(self._kept).max(axis=0).argmax())
        return find_delay(self._train, self._kept[:, side], self._samplerate)
