"""What one client is still to be sent: pure, bounded, and always the newest.

Values are kept by address, so a client that is slow gets where a fader is now, and not where it
was. Of meters and status only the last one is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import cached_property
from typing import Final

from streamer.live.control.page.messages import Error, State, Values, plain

MOST_ERRORS: Final = 8
"""More are forgotten, the oldest first."""


class Change:
    """Values that have changed, and who changed them. Clients that are in step share its text."""

    def __init__(self, values: Mapping[str, float | str], by: Mapping[str, int]) -> None:
        self.values, self.by = values, by

    @cached_property
    def text(self) -> str:
        """The message that tells it; it is made once."""
        return plain(Values(values=dict(self.values), by=dict(self.by)))

    def then(self, later: Change) -> Change:
        """Return both as one; where both have a value, the later one holds."""
        by = {one: who for one, who in self.by.items() if one not in later.values}
        return Change({**self.values, **later.values}, {**by, **later.by})


class Outbox:
    """What is to be sent to one client."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._change: Change | None = None
        self._latest: dict[str, str] = {}
        self._errors: deque[Error] = deque(maxlen=MOST_ERRORS)

    def replace(self, state: State) -> None:
        """Put in the whole state; it takes the place of all that waits, but for errors."""
        self._state, self._change, self._latest = state, None, {}

    def change(self, change: Change) -> None:
        """Put in values that have changed, and who changed them."""
        self._change = change if self._change is None else self._change.then(change)

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
        if self._change is not None:
            taken.append(self._change.text)
        taken += map(plain, self._errors)
        taken += self._latest.values()
        self._state, self._change, self._latest = None, None, {}
        self._errors.clear()
        return taken
