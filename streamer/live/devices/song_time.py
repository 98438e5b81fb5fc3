"""Where in a song each frame of the stream is: a song that is played may pause, jump and loop."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

_MOST_TURNS: Final = 256


class _Turn(NamedTuple):
    """From a frame of the stream on: the second of the song, and whether it moves on."""

    frame: int
    seconds: float
    moving: bool


class SongTime:
    """Maps frames of the stream, which go on and on, to seconds of the song.

    Args:
        samplerate: of the stream.
        begin_seconds: where in the song the stream begins, and a loop.
        loop: whether the song begins again after its end.
    """

    def __init__(self, samplerate: int, begin_seconds: float, *, loop: bool) -> None:
        self._samplerate = samplerate
        self._begin_seconds = begin_seconds
        self._loop = loop
        self._turns = deque([_Turn(0, begin_seconds, moving=True)], maxlen=_MOST_TURNS)
        self._part_seconds: float | None = None

    def came_to_end(self, part_seconds: float) -> None:
        """Take in how long the part is that is played, once it has been read to its end."""
        self._part_seconds = part_seconds

    def turn(self, frame: int, *, seconds: float | None = None, moving: bool) -> None:
        """Pause or go on from a frame that is not fed yet, or go to a second of the song there."""
        place = self.seconds(frame) if seconds is None else seconds
        self._turns.append(_Turn(frame, place, moving))

    def seconds(self, frame: float) -> float:
        """Return the second of the song at a frame of the stream."""
        turn = next((one for one in reversed(self._turns) if one.frame <= frame), self._turns[0])
        passed = max(0.0, frame - turn.frame) / self._samplerate if turn.moving else 0.0
        since = turn.seconds + passed - self._begin_seconds
        if self._part_seconds:  # else it is still in its first pass, or the file is empty
            once = self._part_seconds
            since = since % once if self._loop else min(since, once)
        return self._begin_seconds + since
