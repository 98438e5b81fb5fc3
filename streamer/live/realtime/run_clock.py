"""The one clock that the times of a live run are on."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RunClock:
    """The system's monotonic clock, or virtual time: an array of one number that holds it.

    The engine and the callbacks both read it, so that their times may be compared. The streams'
    own clocks may not be: PortAudio's ALSA counts from 1970, its JACK from the start of each
    stream. Those never leave the callbacks (`streamer.live.realtime.callbacks`).
    """

    virtual: NDArray[np.float64] | None = None

    def __call__(self) -> float:
        """Return now, in seconds."""
        return time.monotonic() if self.virtual is None else float(self.virtual[0])

    @property
    def address(self) -> int:
        """Return where the callbacks find virtual time, 0 for the system's clock."""
        return 0 if self.virtual is None else int(self.virtual.ctypes.data)


SYSTEM_CLOCK = RunClock()
