"""What `realtime.py` plays through: a sound card made of a clock.

`PacedBackend` has one device that calls on time, block after block, as a sound card does: a thread
that sleeps until a block is due and runs the stream's own compiled callback. No interpreter is in
the way, so whatever comes late is late for another reason.
"""

from __future__ import annotations

import threading
import time

import numba
import numpy as np
from numba import types

from ringbuffer.atomics import int64_at, load_acquire, store_release
from streamer.live.devices.device import Device, StreamRequest
from streamer.live.realtime import priority
from streamer.live.realtime.callbacks import capture, playback

_sleep_until = types.ExternalFunction(
    "clock_nanosleep", types.int32(types.int32, types.int32, types.int64, types.int64)
)
_clock = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.int64))
_ABSOLUTE = 1


@numba.njit(nogil=True, error_model="numpy")
def now(words):
    """Return the time on the monotonic clock in nanoseconds; ``words`` are two to work in."""
    _clock(np.int32(1), words.ctypes.data)
    return words[0] * 1_000_000_000 + words[1]


@numba.njit(nogil=True, error_model="numpy")
def sleep_until(due, words):
    """Sleep to a time; return the time after it."""
    words[0], words[1] = due // 1_000_000_000, due % 1_000_000_000
    _sleep_until(np.int32(1), np.int32(_ABSOLUTE), words.ctypes.data, 0)
    return now(words)


@numba.njit(nogil=True, error_model="numpy")
def _run(user_data, song, heard, block, rate, orders, lateness, spent):
    """Call for each block when it is due; return how many there were.

    A block that is late is followed by the next at once: nothing is lost, as on JACK's dummy.
    """
    words = np.zeros(2, np.int64)
    both = int64_at(user_data, 2)
    captured = np.zeros((block, 2), np.float32)
    orders[2] = began = now(words)
    for number in range(len(lateness)):
        if load_acquire(orders.ctypes.data) != 0:
            return number
        due = began + np.int64((number + 1) * block * 1e9 / rate)
        woke = sleep_until(due, words)
        lateness[number] = (woke - due) * 1e-9
        for frame in range(block):
            at = (number * block + frame) % song.shape[0]
            captured[frame, 0], captured[frame, 1] = song[at, 0], song[at, 1]
        out = heard[number * block :]
        capture(both[0], captured.ctypes.data, block, 0.0, 0.0, 0)
        playback(both[1], out.ctypes.data, block, 0.0, 0.0, 0)
        spent[number] = (now(words) - woke) * 1e-9
        store_release(orders.ctypes.data + 8, number + 1)
    return len(lateness)


class PacedStream:
    """A stream on the device. See `DeviceStream`."""

    uncounted_seconds = 0.0
    exact = True

    def __init__(self, request: StreamRequest, song, callbacks: int) -> None:
        block = self.block = request.blocksize
        self.input_latency_seconds = block / request.samplerate
        self.output_latency_seconds = 0.0
        self.heard = _touched((callbacks * block, request.output_channels), np.float32)
        self.lateness, self.spent = (_touched(callbacks, np.float64) for _ in range(2))
        self.orders = np.zeros(3, np.int64)  # stop; callbacks so far; when it began
        self._work = request.state_address, song, self.heard, block, request.samplerate
        self._owner = request.owner
        self._thread = threading.Thread(target=self._call, daemon=True)
        words = np.zeros(0)
        _run(*self._work, self.orders, words, words)  # compiles

    def _call(self) -> None:
        priority.ask()
        _run(*self._work, self.orders, self.lateness, self.spent)

    @property
    def done(self) -> int:
        return int(self.orders[1])

    @property
    def began_seconds(self) -> float:
        """When it began, on the monotonic clock."""
        return float(self.orders[2]) * 1e-9

    @property
    def active(self) -> bool:
        return self.orders[0] == 0  # at its end, too: else it would be opened again

    @property
    def block_frames(self) -> int:
        return self.block

    def look(self) -> None:
        """Nothing is to be done for it."""

    def time(self) -> float:
        return time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.orders[0] = 1
        if self._thread.is_alive():
            self._thread.join()

    close = stop


def _touched(shape, dtype):
    """Return zeros that have their memory already: a sound card's callback waits for none."""
    made = np.empty(shape, dtype)
    made.fill(0)
    return made


class PacedBackend:
    """One device for both directions. See `AudioBackend`."""

    def __init__(self, song, rate: int, callbacks: int) -> None:
        self._song, self._callbacks = song, callbacks
        self._device = Device(0, "paced", "Paced", 2, 32, rate, 0.0, 0.0, True, True)
        self.stream: PacedStream | None = None

    def devices(self) -> list[Device]:
        return [self._device]

    def refresh(self) -> bool:
        return self.stream is None

    def channels_behind(self, device: Device, kind: str) -> int:
        return device.channels(kind)

    def open(self, request: StreamRequest) -> PacedStream:
        self.stream = PacedStream(request, self._song, self._callbacks)
        return self.stream
