"""What an engine of a live run is: it takes the captured sound through the model to the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from streamer.live.planning.plan import EngineName


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """One look at an engine.

    ``name`` is the engine's own. ``model`` makes the stems now; ``rung`` counts the steps of work
    that were given up, 0 for as planned, and ``rung_name`` tells which.
    """

    name: EngineName
    model: str
    rung: int
    rung_name: str


class Engine(Protocol):
    """Reads the input ring, and writes each output's stem ring and the recording.

    It tells the run's `Observer` of each window that is done, and its `RunLog` what a person should
    know of the model. One thread calls all of it; `close` may come from another, when no step runs.
    """

    def open(self) -> None:
        """Make the model ready: the devices run next."""

    def step(self) -> None:
        """Do what there is to do now. Never waits; called every `POLL_SECONDS`."""

    @property
    def room_frames(self) -> int:
        """How much of a file it may be given now, beyond what is due, and nothing is dropped."""
        ...

    def status(self) -> EngineStatus:
        """Return what it is at."""
        ...

    def close(self) -> None:
        """Stop the model. Twice is fine."""
