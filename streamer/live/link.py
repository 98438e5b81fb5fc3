"""One stream on a device: opened, watched, and opened anew when its device is back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from streamer.errors import DeviceError
from streamer.live.devices import Backend, Device, Kind, Stream, StreamRequest
from streamer.live.status import Reason
from streamer.live.watchdog import Reconnect, Watchdog


class Link:
    """A stream that is kept alive.

    ``callbacks`` tells how often its callback has run, ``lost`` is what its loss is called.
    """

    def __init__(
        self,
        backend: Backend,
        request: StreamRequest,
        callbacks: Callable[[], int],
        lost: Reason,
    ) -> None:
        self.lost = lost
        self.request = request
        self.losses = 0
        self._backend = backend
        self._callbacks = callbacks
        self._stream: Stream | None = None
        self._reconnect: Reconnect | None = None

    @property
    def stream(self) -> Stream | None:
        """The stream, or None while its device is away."""
        return self._stream

    @property
    def device(self) -> Device:
        """The device, as it was listed when the stream was last opened."""
        _, device, _ = next(self.request.sides())
        return device

    @property
    def _kind(self) -> Kind:
        kind, _, _ = next(self.request.sides())
        return kind

    def open(self) -> None:
        """Open and start the stream.

        Raises:
            DeviceError: the device cannot be had as asked.
        """
        stream = self._backend.open(self.request)
        try:
            stream.start()
        except DeviceError:
            stream.close()
            raise
        self._stream = stream
        self._watchdog = Watchdog(self.request.blocksize / self.request.samplerate)
        self._reconnect = None

    def watch(self, now: float) -> bool:
        """Return whether the stream lives; where it just died, its device is given back."""
        if self._stream is None:
            return False
        if self._watchdog.feed(now, self._callbacks(), self._stream.active).dead:
            self.close()
            self._reconnect = Reconnect(self.device, self._kind, now)
            self.losses += 1
            return False
        return True

    def due(self, now: float) -> bool:
        """Return whether it is time to try a lost device again."""
        return self._reconnect is not None and self._reconnect.due(now)

    def find_again(self) -> bool:
        """Look the device up in the backend's new list; return whether it is there."""
        reconnect = self._reconnect or Reconnect(self.device, self._kind, 0.0)
        found = reconnect.find(self._backend.devices())
        if found is None:
            return False
        self.request = replace(
            self.request,
            input=found if self.request.input else None,
            output=found if self.request.output else None,
        )
        return True

    def reopen(self, now: float) -> bool:
        """Try to open the stream again; return whether it runs."""
        try:
            self.open()
        except DeviceError:
            self.close()
            self._reconnect = self._reconnect or Reconnect(self.device, self._kind, now)
            self._reconnect.failed(now)
        return self._stream is not None

    def failed(self, now: float) -> None:
        """Note that the device is not there yet."""
        if self._reconnect is not None:
            self._reconnect.failed(now)

    def close(self) -> None:
        """Give the device back; twice is fine."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
