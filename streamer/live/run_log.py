"""The messages of a live run, a sentence each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from streamer.live.telemetry.observer import Observer
from streamer.live.telemetry.verdict import Event

EVENTS = 1000
REMEMBERED = 100
"""How many told sentences are remembered: a model may fail in new words each time."""


def tell_nobody(sentence: str) -> None:
    """Keep a sentence for oneself."""


class RunLog:
    """Tells what happens, and keeps the last events for the report.

    ``tell`` is called with each sentence that a person should know.
    """

    def __init__(self, observer: Observer, samplerate: int, tell: Callable[[str], None]) -> None:
        self._observer = observer
        self._samplerate = samplerate
        self._tell = tell
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._told: deque[str] = deque(maxlen=REMEMBERED)

    def keep(self, sentence: str) -> None:
        """Keep an event for the report alone: somebody else tells it. From any thread."""
        seconds = max(0.0, self._observer.position) / self._samplerate
        self._events.append(Event(seconds, sentence))

    def note(self, sentence: str) -> None:
        """Keep an event, and tell it. From any thread."""
        self.keep(sentence)
        self._tell(sentence)

    def note_once(self, sentence: str) -> None:
        """Note a repeated event only the first time."""
        if sentence not in self._told:
            self._told.append(sentence)
            self.note(sentence)

    def events(self) -> list[Event]:
        """Return the last events, oldest first."""
        return list(self._events)
