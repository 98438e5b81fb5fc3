"""The beginning of a run whose devices may bring blocks in bursts: the delay is set in silence.

A sound server does, and so does a card with longer periods than were asked for. No plan can know
how large the bursts are. So all runs in silence at first, and how late the stems would come is
measured. The delay that follows from it holds for the rest of the run.
"""

from __future__ import annotations

import math
from typing import Final

LEAST_SECONDS: Final = 0.6
"""From the first window on: for the first 0.35 s, on PulseAudio, an output fills its buffers."""
REPEAT_SECONDS: Final = 0.25
"""It goes on until no window has been later than those before for so long. On PulseAudio the
latest come again every 0.14 to 0.17 s."""
MORE_SECONDS: Final = 1e-3
"""What is later by less tells nothing new: two clocks wander by that."""
MOST_SECONDS: Final = 3.0
"""A device that brings nothing does not keep a run silent for longer."""
MOST_MORE_SECONDS: Final = 1.0


class Tryout:
    """Measures how much longer than planned the delay must be, from the first window on, until the
    latest windows have come again.

    ``spare_frames`` are left between the latest window and its time: the silent beginning does not
    show all that comes. With one block, on PulseAudio at 48 kHz, five of eight starts had 88 to 300
    late hops in a minute; the three whose delay had come out 4 to 24 ms longer than theirs had 0 to
    11. So there are two (`DevicePath.burst_blocks`).
    """

    def __init__(self, samplerate: int, spare_frames: int) -> None:
        self._samplerate, self._spare_frames = samplerate, spare_frames
        self._began: float | None = None
        self._latest_frames = -math.inf
        self._later_at, self._marked_frames = 0.0, -math.inf
        self.over = False

    def take(self, late_frames: float, at: float) -> None:
        """Take in how late a window was, in frames, that was made then, in seconds.

        Early is below 0; minus infinity is for one of which it is not known.
        """
        self._began = at if self._began is None else self._began
        if late_frames >= self._marked_frames + MORE_SECONDS * self._samplerate:
            self._later_at, self._marked_frames = at, late_frames
        self._latest_frames = max(self._latest_frames, late_frames)
        seconds, same_seconds = at - self._began, at - self._later_at
        self.over = seconds >= LEAST_SECONDS and same_seconds >= REPEAT_SECONDS

    def more_frames(self, error_frames: float) -> int:
        """Return how much longer the delay must be; 0 where it is long enough.

        ``error_frames`` is by how much the output is found to be behind its position, at the end.
        """
        late_frames = self._latest_frames + max(error_frames, 0.0) + self._spare_frames
        return math.ceil(min(max(late_frames, 0.0), MOST_MORE_SECONDS * self._samplerate))
