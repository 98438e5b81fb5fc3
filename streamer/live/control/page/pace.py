"""How many messages a client may send: pure, time is an argument."""

from __future__ import annotations

from typing import Final

PER_SECOND: Final = 240.0
"""Four fingers that move four faders, 60 times a second each."""
BURST: Final = 240.0
PATIENCE: Final = 2000.0
"""Messages over the limit until a client is sent away, where they come faster than the limit."""
COMPLAIN_SECONDS: Final = 1.0


class Pace:
    """Counts one client's messages: a token bucket, and one for those that were too many."""

    def __init__(self, now_seconds: float) -> None:
        self._room, self._patience, self._at = BURST, PATIENCE, now_seconds
        self._complain_at = now_seconds

    def take(self, now_seconds: float) -> bool:
        """Count a message; return whether it is within the limit."""
        earned = (now_seconds - self._at) * PER_SECOND
        self._at = now_seconds
        self._room = min(BURST, self._room + earned)
        self._patience = min(PATIENCE, self._patience + earned)
        if self._room >= 1:
            self._room -= 1
            return True
        self._patience -= 1
        return False

    @property
    def is_over(self) -> bool:
        """Whether the client is to be sent away."""
        return self._patience < 0

    def complain(self, now_seconds: float) -> bool:
        """Return whether it is time to tell the client: now and then, not each time."""
        if now_seconds < self._complain_at:
            return False
        self._complain_at = now_seconds + COMPLAIN_SECONDS
        return True
