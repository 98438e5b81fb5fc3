"""Knows that a device is gone, and when to try again: pure, the caller brings the time.

PortAudio often reports nothing when a device is unplugged or its server dies: the stream stays
"active" and simply never calls again. So a stream is alive by its callbacks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from streamer.live.devices.device import Device, Kind

SILENT_SECONDS = 1.0
SILENT_BLOCKS = 4
START_SECONDS = 3.0
STEADY_SECONDS = 1.0
STEADY_PAUSE_SECONDS = 0.25
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 1.0

# ALSA numbers its cards as they come, and has the number in the name
_CARD = re.compile(r"\s*\(hw:\d+,\d+\)$")


class Liveness(StrEnum):
    """What a stream is."""

    ALIVE = "alive"
    SILENT = "its callbacks stopped"
    ENDED = "it ended"

    @property
    def dead(self) -> bool:
        """Whether it has to be opened anew."""
        return self is not Liveness.ALIVE


class Watchdog:
    """Watches one stream by its number of callbacks.

    A stream is dead after 1 s, or 4 blocks where these are longer, without a callback. Until it
    first runs steadily, for a second without a pause, it has 3 s: servers wake their devices, and
    some ask for all that they buffer at once and then for nothing until that is played. Only time
    that is looked at counts: a program that was stopped, with its callbacks, does not find them all
    dead when it goes on.
    """

    def __init__(self, block_seconds: float) -> None:
        self._limit_seconds = max(SILENT_SECONDS, SILENT_BLOCKS * block_seconds)
        self._pause_seconds = max(STEADY_PAUSE_SECONDS, SILENT_BLOCKS * block_seconds)
        self._callbacks: int | None = None
        self._running_seconds = 0.0
        self._steady = False
        self._looked_seconds = 0.0
        self.silent_seconds = 0.0

    def feed(self, now_seconds: float, callbacks: int, active: bool) -> Liveness:
        """Judge by the callbacks so far, and by whether the stream says that it is active.

        To be asked several times a second. ``now_seconds`` is any clock that does not go back.
        """
        passed = max(0.0, now_seconds - self._looked_seconds)
        self._looked_seconds = now_seconds
        self._count(callbacks, min(passed, self._limit_seconds / 4))
        if not active:
            return Liveness.ENDED
        limit = self._limit_seconds
        if not self._steady:
            limit = max(limit, START_SECONDS)
        return Liveness.ALIVE if self.silent_seconds < limit else Liveness.SILENT

    def _count(self, callbacks: int, passed_seconds: float) -> None:
        first = self._callbacks is None
        if callbacks == self._callbacks:
            self.silent_seconds += passed_seconds
        else:
            self._callbacks, self.silent_seconds = callbacks, 0.0
        if first or self.silent_seconds > self._pause_seconds:
            self._running_seconds = 0.0
        else:
            self._running_seconds += passed_seconds
        self._steady = self._steady or self._running_seconds >= STEADY_SECONDS


class Reconnect:
    """When to try a lost device again, and which one of the list it is.

    Tries come at once, then further and further apart, a second at most: a device that comes back
    is found within that.
    """

    def __init__(self, lost: Device, kind: Kind, now_seconds: float) -> None:
        self.lost, self.kind = lost, kind
        self._next_seconds = now_seconds
        self._wait_seconds = FIRST_WAIT_SECONDS

    def due(self, now_seconds: float) -> bool:
        """Whether it is time for a try."""
        return now_seconds >= self._next_seconds

    def failed(self, now_seconds: float) -> None:
        """Note that a try brought nothing."""
        self._next_seconds = now_seconds + self._wait_seconds
        self._wait_seconds = min(LONGEST_WAIT_SECONDS, 2 * self._wait_seconds)

    def find(self, devices: Sequence[Device]) -> Device | None:
        """The lost device in a new list: by its name and host API, never by its index.

        None where it is not there, or where several look like it.
        """
        alike = [
            device
            for device in devices
            if device.hostapi == self.lost.hostapi
            and device.channels(self.kind)
            and _plain(device.name) == _plain(self.lost.name)
        ]
        exact = [device for device in alike if device.name == self.lost.name]
        found = exact or alike
        return found[0] if len(found) == 1 else None


def _plain(name: str) -> str:
    return _CARD.sub("", name)
