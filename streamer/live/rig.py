"""The devices of a live run: their ports, the streams on them, and what happens when one is lost.

While a device is away its port is not left behind: silence goes in for what it would have recorded,
and what it would have played is let go. So positions are always true to time, and the delay is the
same when it comes back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from streamer.audio import Samples
from streamer.live.devices import Backend, Device, StreamRequest
from streamer.live.link import Link
from streamer.live.ports import CapturePort, DuplexPort, PlaybackPort
from streamer.live.status import Reason

RING_SECONDS = 4.0
"""What the rings hold beyond the delay: how long the engine may be held up without a loss."""


@dataclass(frozen=True)
class Wiring:
    """Which devices take part; ``input`` is None where a file is played.

    ``input_channels`` are the channels taken in, from 1.
    """

    input: Device | None
    outputs: tuple[Device, ...]
    input_channels: tuple[int, ...]
    samplerate: int
    blocksize: int
    buffer: Literal["low", "high"]

    @property
    def duplex(self) -> bool:
        """Whether one stream takes in and plays: then there is one clock."""
        return self.input is not None and self.input.index == self.outputs[0].index

    @property
    def port_names(self) -> tuple[str, ...]:
        """A name for each output, as the mixer knows it."""
        names = [device.name for device in self.outputs]
        return tuple(
            name if names.count(name) == 1 else f"{name} {index + 1}"
            for index, name in enumerate(names)
        )


class Rig:
    """The ports of a wiring, and a `Link` for each of its streams."""

    def __init__(self, backend: Backend, wiring: Wiring, stems: int, delay_frames: int) -> None:
        self._backend = backend
        self._wiring = wiring
        self._delay_frames = delay_frames
        self._stood_in_at = math.nan
        self.samplerate, self.blocksize = wiring.samplerate, wiring.blocksize
        rate = wiring.samplerate
        capacity = delay_frames + round(RING_SECONDS * rate)
        has_input = wiring.input is not None
        self.ports = {
            name: PlaybackPort(
                stems,
                device.output_channels,
                rate,
                delay_frames,
                capacity_frames=capacity,
                drift=has_input and not (wiring.duplex and index == 0),
            )
            for index, (name, device) in enumerate(
                zip(wiring.port_names, wiring.outputs, strict=True)
            )
        }
        gains = _channel_gains(wiring)
        self.capture = CapturePort(
            len(gains),
            rate,
            list(self.ports.values()),
            capacity_frames=capacity,
            channel_gains=gains,
        )
        self._duplex: DuplexPort | None = None
        self.links = self._make_links()

    def _make_links(self) -> list[Link]:
        wiring = self._wiring
        links = []
        outputs = list(zip(self.ports.values(), wiring.outputs, strict=True))
        if wiring.input is not None:
            capture = self.capture
            state: CapturePort | DuplexPort = capture
            output = None
            if wiring.duplex:
                port, output = outputs.pop(0)
                state = self._duplex = DuplexPort(capture, port)
            request = self._request(wiring.input, output, state)
            links.append(
                Link(
                    self._backend,
                    request,
                    lambda: capture.counters().callbacks,
                    Reason.INPUT_LOST,
                )
            )
        for port, device in outputs:
            links.append(
                Link(
                    self._backend,
                    self._request(None, device, port),
                    lambda port=port: port.counters().callbacks,  # type: ignore[misc]
                    Reason.OUTPUT_LOST,
                )
            )
        return links

    def _request(
        self,
        source: Device | None,
        output: Device | None,
        port: CapturePort | PlaybackPort | DuplexPort,
    ) -> StreamRequest:
        return StreamRequest(
            input=source,
            output=output,
            input_channels=self.capture.input_channels if source else 0,
            output_channels=output.output_channels if output else 0,
            samplerate=self._wiring.samplerate,
            blocksize=self._wiring.blocksize,
            latency=self._wiring.buffer,
            callback_address=port.callback_address,
            state_address=port.address,
        )

    def open(self) -> None:
        """Open and start every stream.

        Raises:
            DeviceError: a device cannot be had as asked; none is left open.
        """
        try:
            for link in self.links:
                link.open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give every device back."""
        for link in self.links:
            link.close()

    @property
    def device_seconds(self) -> tuple[float, float]:
        """What the input and the first output say of their own latency."""
        streams = [link.stream for link in self.links if link.stream is not None]
        return (
            max((stream.input_latency_seconds for stream in streams), default=0.0),
            next((s.output_latency_seconds for s in streams if s.output_latency_seconds), 0.0),
        )

    @property
    def realtime(self) -> bool:
        """Whether the threads of all streams were granted real-time priority."""
        return all(link.stream is not None and link.stream.realtime for link in self.links)

    @property
    def lost(self) -> list[Link]:
        """The streams whose device is away."""
        return [link for link in self.links if link.stream is None]

    def live_port(self) -> PlaybackPort | None:
        """The first output that plays: a file goes at its pace."""
        for link, port in self._outputs():
            if link.stream is not None:
                return port
        return None

    def _outputs(self) -> Iterator[tuple[Link, PlaybackPort]]:
        """Each port with the link that plays it; an input of its own comes before them."""
        links = self.links[len(self.links) - len(self.ports) :]
        return zip(links, self.ports.values(), strict=True)

    def watch(self, now: float) -> None:
        """Look after the streams; to be called often."""
        for link in self.links:
            link.watch(now)
        if self.lost:
            self._stand_in(now)
            self._bring_back(now)
        else:
            self._stood_in_at = math.nan

    def _stand_in(self, now: float) -> None:
        """Let the time pass for the ports of lost devices."""
        frames = 0
        if math.isnan(self._stood_in_at):
            self._stood_in_at = now
        else:
            frames = round((now - self._stood_in_at) * self._wiring.samplerate)
            self._stood_in_at += frames / self._wiring.samplerate
        if self._wiring.input is not None and self.links[0].stream is None:
            self.capture.skip(frames)
        due = self.capture.counters().captured_frames - self._delay_frames
        for link, port in self._outputs():
            if link.stream is None:
                port.skip(max(0, due - math.floor(port.counters().position)))
                position = math.floor(port.counters().position)
                port.stem_ring.release(position)
                port.dry_ring.release(position)

    def _bring_back(self, now: float) -> None:
        """Try the lost devices again, as far as it is time.

        PortAudio sees devices come only when it starts anew, and for that all streams are closed.
        That is done where nothing is heard anyway; else a device is tried under its old entry.
        """
        due = [link for link in self.lost if link.due(now)]
        if not due:
            return
        silent = self.links[0].stream is None and self._wiring.input is not None
        silent = silent or self.live_port() is None
        if silent:
            for link in self.links:
                link.close()
            self._backend.refresh()
            due = self.lost
        for link in due:
            if silent and not link.find_again():
                link.failed(now)
            else:
                link.reopen(now)


def _channel_gains(wiring: Wiring) -> Samples:
    """Return what each channel of the device gives to left and right: ``(channels, 2)``."""
    if wiring.input is None:
        return np.eye(2, dtype=np.float32)
    picked: Sequence[int] = wiring.input_channels
    gains = np.zeros((max(picked), 2), np.float32)
    for side in range(2):
        gains[picked[side % len(picked)] - 1, side] = 1
    return gains
