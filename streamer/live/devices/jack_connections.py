"""What our JACK ports are connected to, remembered: a server that comes back knows nothing of it.

When the server is back, each connection is made again as soon as the other port is there. What ends
while the server runs, by hand or with the other program, is forgotten; but a port that is back in a
moment is connected again, since PipeWire makes the ports of its devices anew when it begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from streamer.live.devices.device import Kind

LOOKS_TO_FORGET: Final = 50
"""A second of the run's looks: a server that ends takes the other ports away first."""

Connection = tuple[str, str]
"""A port of our own without its client's name, and another one with it."""


class Graph(Protocol):
    """The ports of a server, as one of its clients sees them. See `JackClient`."""

    def is_there(self, port: str) -> bool:
        """Whether there is a port of this name."""

    def connected_to(self, port: str) -> set[str]:
        """The ports that a port of our own is connected to."""

    def connect(self, port: str, kind: Kind, other: str) -> bool:
        """Connect a port of our own with another; return whether they are connected now."""


class Connections:
    """The connections that our ports have or wait for; each stream looks after those of its own."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._waiting: set[Connection] = set()
        self._made: dict[Connection, int] = {}  # for how many looks it was not there
        self._away: set[Connection] = set()  # those whose other port went, a moment ago

    def begin(self, port: str, others: Iterable[str]) -> None:
        """Say what a port is connected to at first; nothing changes if it was there before."""
        if port not in self._known:
            self._known.add(port)
            self._waiting.update((port, other) for other in others)

    def lost(self, ports: Iterable[str]) -> None:
        """Note that a client of ours is gone: what its ports had is to be made again."""
        lost = {one for one in self._made if one[0] in ports}
        self._waiting |= lost
        self._away -= lost
        self._made = {one: looks for one, looks in self._made.items() if one not in lost}

    def of(self, port: str) -> list[str]:
        """Return what a port is or should be connected to."""
        return [other for own, other in (*self._made, *self._waiting) if own == port]

    def look(self, graph: Graph, ports: Mapping[str, Kind]) -> bool:
        """Learn what a client's ports are connected to now, and connect what waits for it.

        A port that went and came between two looks was not seen away, and counts as parted by hand.
        Returns whether to look again soon.
        """
        found = {(own, other) for own in ports for other in graph.connected_to(own)}
        for own, other in self._waiting - found:
            if own in ports and graph.is_there(other) and graph.connect(own, ports[own], other):
                found.add((own, other))
        self._waiting -= found
        made = {one: looks for one, looks in self._made.items() if one[0] in ports}
        for own, other in made.keys() - found:
            if not graph.is_there(other):
                self._away.add((own, other))
            elif (own, other) in self._away and graph.connect(own, ports[own], other):
                found.add((own, other))
        self._away -= found
        absent = {one: looks + 1 for one, looks in made.items() if one not in found}
        doubtful = {one: looks for one, looks in absent.items() if looks < LOOKS_TO_FORGET}
        self._away -= absent.keys() - doubtful.keys()
        of_others = {one: looks for one, looks in self._made.items() if one not in made}
        self._made = of_others | dict.fromkeys(found, 0) | doubtful
        return bool(doubtful)
