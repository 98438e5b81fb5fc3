"""How many messages a client may send: pure, time is an argument."""

from __future__ import annotations

from typing import Final

PER_SECOND: Final = 240.0
"""Four fingers that move four faders, 60 times a second each."""
BURST: Final = 240.0
PATIENCE: Final = 2000
"""Messages over the limit, one after the other, until a client is sent away."""


class Pace:
    """Counts one client's messages (a token bucket)."""

    def __init__(self, now_seconds: float) -> None:
        self._room, self._at = BURST, now_seconds
        self.over = 0
        """Messages over the limit since the last one that was within it."""

    def take(self, now_seconds: float) -> bool:
        """Count a message; return whether it is within the limit."""
        self._room = min(BURST, self._room + (now_seconds - self._at) * PER_SECOND)
        self._at = now_seconds
        if self._room < 1:
            self.over += 1
            return False
        self._room -= 1
        self.over = 0
        return True
