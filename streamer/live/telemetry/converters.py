"""The delay of the devices' converters, measured from the times that callbacks get."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SETTLE_SECONDS = 2.0
"""Wait this long: a device's first times are not yet its usual ones."""
LISTEN_SECONDS = 5.0


class ConverterDelay:
    """The median time between a converter and its callback, after some time of listening.

    The latency that PortAudio reports at opening is only its wish; sound servers buffer more. While
    it is ``listening``, ``seconds`` is the earlier result, or None. It stays None if the callbacks
    get no such times.
    """

    def __init__(self, samplerate: int) -> None:
        self._samplerate = samplerate
        self.seconds: float | None = None
        self.listen()

    def listen(self) -> None:
        """Begin again: the stream is a new one."""
        self._first_frame: int | None = None
        self._heard: list[float] = []
        self.listening = True

    def feed(self, notes: Iterable[NDArray[Any]]) -> None:
        """Take the notes of a callback, an array of `callbacks.LOG`."""
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
