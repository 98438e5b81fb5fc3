"""What one client is still to be sent: pure, bounded, and always the newest.

Values are kept by address, so a client that is slow gets where a fader is now, and not where it
was. Of meters and status only the last one is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from streamer.live.control.page.messages import Error, State, Values, plain

MOST_ERRORS: Final = 8
"""More are forgotten, the oldest first."""


class Outbox:
    """What is to be sent to one client."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._values: dict[str, float | str] = {}
        self._by: dict[str, int] = {}
        self._latest: dict[str, str] = {}
        self._errors: deque[Error] = deque(maxlen=MOST_ERRORS)

    def replace(self, state: State) -> None:
        """Put in the whole state; it takes the place of all that waits, but for errors."""
        self._state = state
        self._values, self._by, self._latest = {}, {}, {}

    def change(self, values: Mapping[str, float | str], by: Mapping[str, int]) -> None:
        """Put in values that have changed, and who changed them."""
        for address, value in values.items():
            self._values[address] = value
            self._by.pop(address, None)
        self._by.update(by)

    def latest(self, kind: str, text: str) -> None:
        """Put in a message that takes the place of an older one of its kind."""
        self._latest[kind] = text

    def complain(self, error: Error) -> None:
        """Put in the answer to a message that was not obeyed."""
        self._errors.append(error)

    def take(self) -> list[str]:
        """Return what is to be sent now, in order, and forget it."""
        taken: list[str] = []
        if self._state is not None:
            taken.append(plain(self._state))
        if self._values:
            taken.append(plain(Values(values=self._values, by=self._by)))
        taken += map(plain, self._errors)
        taken += self._latest.values()
        self._state, self._values, self._by, self._latest = None, {}, {}, {}
        self._errors.clear()
        return taken
