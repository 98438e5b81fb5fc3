"""What the ports of both directions share: a record of state, its log, its clock and its memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from streamer.audio import Samples
from streamer.errors import SettingsError
from streamer.live.realtime import callbacks as rt
from streamer.live.realtime.run_clock import RunClock

LOG_RECORDS = 8192

Record = NDArray[np.void]
Array = TypeVar("Array", bound=NDArray[Any])


def address_of(array: NDArray[Any]) -> int:
    """Return where an array's first byte lies."""
    return int(array.ctypes.data)


def touched(shape: int | tuple[int, ...], kind: npt.DTypeLike) -> NDArray[Any]:
    """Return zeros in memory that is there: its first use is no page fault in a callback."""
    made = np.zeros(shape, kind)
    made.view(np.uint8).fill(0)
    return made


class Port:
    """What both kinds of port have: a record, its log, and buffers that live as long."""

    def __init__(self, kind: np.dtype[np.void], samplerate: int) -> None:
        if samplerate < 1:
            raise SettingsError(f"samplerate={samplerate} must be at least 1; try 48000")
        self.samplerate = samplerate
        self._kept: list[NDArray[Any]] = []
        self._state = np.zeros(1, kind)[0:1]
        self._log = self._keep(np.zeros(1, rt.LOG_RING))
        self._records = self._keep(touched(LOG_RECORDS, rt.LOG))
        self._log["capacity"] = LOG_RECORDS
        self._log["records"] = address_of(self._records)
        self._state["log"] = address_of(self._log)
        self._state["clock"] = address_of(self._keep(np.zeros(2, np.int64)))
        self._state["clock_id"] = time.CLOCK_MONOTONIC

    def _keep(self, array: Array) -> Array:
        self._kept.append(array)
        return array

    def _floats(self, *shape: int) -> Samples:
        return self._keep(touched(shape, np.float32))

    @property
    def address(self) -> int:
        """The user data for the callback."""
        return address_of(self._state)

    def use_clock(self, clock: RunClock) -> None:
        """Take the times of blocks from this clock, before the start; else from the system's."""
        self._clock = clock  # its time is read where it lies, so it must live
        self._state["virtual_time"] = clock.address

    def leave_out(self, seconds: float) -> None:
        """Take so much off what a block's times say of its converter, before the start."""
        self._state["uncounted_seconds"] = seconds

    def log(self) -> Record:
        """Return what the callback has noted since the last call, an array of `callbacks.LOG`.

        At most `LOG_RECORDS`; when they are full, later blocks are not noted.
        """
        read, written = int(self._log["read"][0]), int(self._log["written"][0])
        records: Record = self._records[np.arange(read, written) % LOG_RECORDS]
        self._log["read"] = written
        return records

    def _count(self, name: str) -> int:
        return int(self._state[name][0])

    def _set(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._state[name] = value
