"""What the converters of the devices delay, as the times that callbacks get with blocks tell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SETTLE_SECONDS = 2.0
"""What a device says at its start is not yet how it goes on."""
LISTEN_SECONDS = 5.0


class ConverterDelay:
    """The median time between a converter and its callback, once it has been heard for a while.

    What PortAudio says of a stream when it is opened is its wish; sound servers buffer more. While
    it is ``listening``, ``seconds`` is what was heard before, or None; it stays None where the
    callbacks are told no such time.
    """

    def __init__(self, samplerate: int) -> None:
        self._samplerate = samplerate
        self.seconds: float | None = None
        self.listen()

    def listen(self) -> None:
        """Begin anew: the stream is another."""
        self._first_frame: int | None = None
        self._heard: list[float] = []
        self.listening = True

    def feed(self, notes: Iterable[NDArray[Any]]) -> None:
        """Take in what a callback noted, of `callbacks.LOG`."""
        if not self.listening:
            return
        for note in notes:
            frame = int(note["frame"])
            if self._first_frame is None:
                self._first_frame = frame
            passed = (frame - self._first_frame) / self._samplerate
            seconds = float(note["converter_seconds"])
            if passed >= SETTLE_SECONDS and not math.isnan(seconds):
                self._heard.append(seconds)
            if passed >= LISTEN_SECONDS:
                self.listening = False
                if self._heard:
                    self.seconds = float(np.median(self._heard))
                return
