"""Notices that a device is gone, and knows when to try again: pure, the caller brings the time.

PortAudio often reports nothing when a device is unplugged or its server dies: the stream stays
"active" and simply never calls again. So only callbacks show that a stream is alive.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from streamer.live.devices.device import Device, Kind, without_card

SILENT_SECONDS = 1.0
SILENT_BLOCKS = 4
START_SECONDS = 3.0
STEADY_SECONDS = 1.0
STEADY_PAUSE_SECONDS = 0.25
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 1.0


class Liveness(StrEnum):
    """The state of a stream."""

    ALIVE = "alive"
    SILENT = "its callbacks stopped"
    ENDED = "it ended"

    @property
    def dead(self) -> bool:
        """Whether it has to be opened again."""
        return self is not Liveness.ALIVE


class Watchdog:
    """Watches one stream by its number of callbacks.

    A stream is dead after 1 s without a callback, or after 4 blocks if these are longer. Until it
    first runs for a second without a pause, the limit is 3 s: servers wake their devices, and some
    fill their buffer at once and then ask for nothing until it is played. Only time between looks
    counts, up to a limit. So after a pause of the whole program the streams do not all seem dead.
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

        Call it several times a second. ``now_seconds`` is any clock that does not go back.
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

    The first try comes at once. The next ones come further and further apart, but at most a second:
    so a device that comes back is found within a second.
    """

    def __init__(self, lost: Device, kind: Kind, now_seconds: float) -> None:
        self.lost, self.kind = lost, kind
        self._next_seconds = now_seconds
        self._wait_seconds = FIRST_WAIT_SECONDS

    def due(self, now_seconds: float) -> bool:
        """Whether it is time to try."""
        return now_seconds >= self._next_seconds

    def failed(self, now_seconds: float) -> None:
        """Note that a try has failed."""
        self._next_seconds = now_seconds + self._wait_seconds
        self._wait_seconds = min(LONGEST_WAIT_SECONDS, 2 * self._wait_seconds)

    def find(self, devices: Sequence[Device]) -> Device | None:
        """The lost device in a new list: by its name and host API, never by its index.

        None if it is not there, or if several look like it.
        """
        alike = [
            device
            for device in devices
            if device.hostapi == self.lost.hostapi
            and device.channels(self.kind)
            and without_card(device.name) == without_card(self.lost.name)
        ]
        exact = [device for device in alike if device.name == self.lost.name]
        found = exact or alike
        return found[0] if len(found) == 1 else None
