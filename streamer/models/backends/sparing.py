"""Copes with a device whose memory is too small: fewer windows at a time, then the CPU."""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import Protocol

import numpy as np

from streamer.audio import Samples
from streamer.errors import ModelMemoryError
from streamer.models.separator import WHOLE, Load, Separator


class DeviceSeparator(Separator, Protocol):
    """A separator on a device that has memory of its own."""

    @property
    def device_name(self) -> str:
        """What its user calls the device."""
        ...

    def best_load(self) -> Load:
        """See `Adaptive.best_load`."""
        ...

    def on_cpu(self) -> Separator:
        """Return the same network on the CPU."""
        ...


class SparingSeparator:
    """A `Separator` that makes do with the memory there is.

    If it runs out, half the windows are separated at a time. If it is too small for one window, the
    CPU goes on. No window is lost: failed windows are separated again.
    """

    def __init__(self, separator: DeviceSeparator) -> None:
        self.names = separator.names
        self.samplerate = separator.samplerate
        self.channels = separator.channels
        self.window_frames = separator.window_frames
        self._device_name = separator.device_name
        self._on_device: DeviceSeparator | None = separator
        self._on_cpu: Separator | None = None
        self._load: Load | None = None
        self._most_windows = sys.maxsize
        self._notes: deque[str] = deque(maxlen=1)  # the last halving says it all
        self._lock = threading.Lock()

    def input_frames(self, window_frames: int) -> int:
        """See `Separator.input_frames`."""
        return self._current.input_frames(window_frames)

    def best_load(self) -> Load:
        """See `Adaptive.best_load`."""
        if self._on_device is None:
            return Load()
        if self._load is None:
            try:
                self._load = self._on_device.best_load()
            except ModelMemoryError:
                self._load = Load()
        return Load(min(self._load.windows, self._most_windows), self._load.calls)

    def take_notes(self) -> list[str]:
        """See `Adaptive.take_notes`."""
        # without the lock: a live run asks, and may not wait for a network to be copied
        notes = []
        while self._notes:
            notes.append(self._notes.popleft())
        return notes

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        """See `Separator.__call__`.

        Raises:
            ModelError: the network fails, or memory runs out on the CPU, too.
        """
        parts: list[Samples] = []
        done = 0
        while done < len(windows):
            some = windows[done : done + self._most_windows]
            stems = self._attempt(some, kept)
            if stems is None:
                self._give_way(len(some))
                continue
            parts.append(stems)
            done += len(some)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def _current(self) -> Separator:
        current = self._on_device or self._on_cpu
        assert current is not None
        return current

    def _attempt(self, windows: Samples, kept: slice) -> Samples | None:
        # the retry comes when this has returned: an error keeps the memory of what it broke off
        separator = self._current
        try:
            return separator(windows, kept)
        except ModelMemoryError:
            if separator is self._on_cpu:
                raise
            return None

    def _give_way(self, windows: int) -> None:
        with self._lock:
            told = f"memory ran out on {self._device_name}: "
            if windows > 1:
                self._most_windows = min(self._most_windows, windows // 2)
                many = f"{self._most_windows} windows" if self._most_windows > 1 else "one window"
                self._notes.append(f"{told}the model went on with {many} at a time")
            elif self._on_device is not None:
                self._on_cpu = self._on_device.on_cpu()
                self._on_device = None
                self._notes.append(f"{told}the model went on on the CPU; try a shorter --window")
