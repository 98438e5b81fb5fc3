"""One stream on a device: opened, watched, and opened again when its device is back.

A dead device seems alive for up to a second. So the time that it was away counts from its last
callback.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from streamer.errors import DeviceError
from streamer.live.devices.device import (
    AudioBackend,
    Device,
    DeviceStream,
    Kind,
    StreamRequest,
    is_gone,
)
from streamer.live.devices.watchdog import Reconnect, Watchdog
from streamer.live.status import Reason

TRIAL_SECONDS = 1.0
"""How long a device that is tried again may stay silent."""
LATE_SECONDS = 0.25
"""An input that begins within this time has missed nothing that counts."""


class ReconnectingStream:
    """A stream that is kept alive.

    ``callbacks`` tells how often its callback has run, ``lost`` is the name of its loss. ``away``
    says that the device is lost. It is back with its first callback, since some devices open and
    stay silent. ``losses`` counts; ``away_frames`` is how long the device was away the last time,
    and ``trouble`` why the last try failed. ``latency_seconds``, ``uncounted_seconds`` and
    ``exact``: see `DeviceStream`.
    """

    def __init__(
        self,
        backend: AudioBackend,
        request: StreamRequest,
        callbacks: Callable[[], int],
        lost: Reason,
    ) -> None:
        self.lost = lost
        self.request = request
        self.away = self._cut = False
        self.losses = 0
        self.away_frames = 0
        self.latency_seconds = 0.0, 0.0
        self.uncounted_seconds, self.exact = 0.0, False
        self.trouble = ""
        self._backend = backend
        self._callbacks = callbacks
        self._called = 0
        self._again = False
        self._seen_at = 0.0
        self._device_stream: DeviceStream | None = None
        self._reconnect: Reconnect | None = None

    @property
    def device_stream(self) -> DeviceStream | None:
        """The stream, or None where none is open."""
        return self._device_stream

    @property
    def device(self) -> Device:
        """The device, as it was listed when the stream was last opened."""
        _, device, _ = next(self.request.sides())
        return device

    @property
    def _kind(self) -> Kind:
        kind, _, _ = next(self.request.sides())
        return kind

    def ask(self) -> tuple[float, float]:
        """Return what the device says of its latency, in and out, when it is open.

        See `DeviceStream`.

        Raises:
            DeviceError: the device cannot be had as asked.
        """
        stream = self._backend.open(self.request)
        stream.close()
        return stream.input_latency_seconds, stream.output_latency_seconds

    def open(self, starting: Callable[[], float]) -> None:
        """Open and start the stream; ``starting`` is called in between, and tells the time.

        Raises:
            DeviceError: the device cannot be had as asked.
        """
        stream = self._backend.open(self.request)
        self.latency_seconds = stream.input_latency_seconds, stream.output_latency_seconds
        self.uncounted_seconds, self.exact = stream.uncounted_seconds, stream.exact
        self.request = replace(self.request, blocksize=stream.block_frames)
        self._seen_at, self._called = starting(), self._callbacks()
        try:
            stream.start()
        except DeviceError:
            stream.close()
            raise
        self._device_stream = stream
        self._watchdog = Watchdog(self.request.blocksize / self.request.samplerate)

    def watch(self, now: float) -> None:
        """Look after the stream, and release the device if it has just died."""
        stream = self._device_stream
        if stream is None:
            return
        stream.look()
        self.latency_seconds = stream.input_latency_seconds, stream.output_latency_seconds
        called = self._callbacks()
        if called != self._called and not self._came_late(called, now):
            self._called, self._seen_at = called, now
            self.away, self._reconnect, self.trouble = False, None, ""
            self._again = False
        if self._device_stream is None:
            return
        dead = self._watchdog.feed(now, called, self._device_stream.active).dead
        if dead or (self.away and self._watchdog.silent_seconds >= TRIAL_SECONDS):
            self.lose(now)

    def _came_late(self, called: int, now: float) -> bool:
        """Return whether an input that is tried was silent at first, and is closed for it.

        The time until then can only be counted with no stream open; the next try is at once, and
        is taken as it comes.
        """
        if not self.away or self.request.input is None or self._again:
            return False
        late_seconds = now - self._seen_at
        if late_seconds < LATE_SECONDS:
            return False
        self._seen_at += (called - self._called) * self.request.blocksize / self.request.samplerate
        self._again = True
        self.close()
        self._reconnect = Reconnect(self.device, self._kind, now)
        return True

    def lose(self, now: float) -> None:
        """Release the device, and begin to wait for it."""
        self.close()
        if not self.away:
            self.away, self.away_frames = True, 0
            self.losses += 1
            self._reconnect = Reconnect(self.device, self._kind, now)

    def pass_time(self, now: float) -> int:
        """Return how many frames have passed without the device since this was last asked."""
        rate = self.request.samplerate
        frames = max(0, round((now - self._seen_at) * rate))
        self._seen_at += frames / rate
        self.miss(frames)
        return frames

    def miss(self, frames: int) -> None:
        """Count frames more as missed while the device was away."""
        self.away_frames += frames

    def due(self, now: float) -> bool:
        """Return whether it is time to try a lost device again."""
        return self._reconnect is not None and self._reconnect.due(now)

    def find_again(self) -> None:
        """Look the device up in the backend's new list.

        Raises:
            DeviceError: it is not there.
        """
        reconnect = self._reconnect or Reconnect(self.device, self._kind, 0.0)
        found = reconnect.find(self._backend.devices())
        if found is None:
            raise is_gone(self.request)
        self.request = replace(
            self.request,
            input=found if self.request.input else None,
            output=found if self.request.output else None,
        )

    def take_cut(self) -> bool:
        """Return whether a stream was cut off since the last call: its end must be softened."""
        cut, self._cut = self._cut, False
        return cut

    def refused(self, error: DeviceError) -> None:
        """Keep why the device could not be had."""
        self.trouble = str(error)

    def failed(self, now: float) -> None:
        """Note that a try has failed."""
        if self._reconnect is not None:
            self._reconnect.failed(now)

    def close(self) -> None:
        """Release the device; twice is fine."""
        if self._device_stream is not None:
            self._device_stream.close()
            self._device_stream, self._cut = None, True
