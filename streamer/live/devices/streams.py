"""The devices of a live run: their ports, the streams on them, and what happens when one is lost.

While a device is away its port is not left behind: silence goes in for what it would have recorded,
and what it would have played is let go. So positions are always true to time, and the delay is the
same when it comes back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from streamer.errors import DeviceError
from streamer.live.devices.device import Backend, Device, StreamRequest
from streamer.live.devices.reconnecting import Link
from streamer.live.devices.wiring import Wiring
from streamer.live.realtime.callbacks import FADE_FRAMES
from streamer.live.realtime.ports import CapturePort, DuplexPort, PlaybackPort
from streamer.live.realtime.run_clock import SYSTEM_CLOCK, RunClock
from streamer.live.status import Reason

RING_SECONDS = 4.0
"""What the rings hold beyond the delay: how long the engine may be held up without a loss."""
SPARE_SECONDS = 1.0
"""What a port with a clock of its own keeps in its rings while its device is away."""


class Rig:
    """The ports of a wiring, and a `Link` for each of its streams."""

    def __init__(
        self,
        backend: Backend,
        wiring: Wiring,
        stems: int,
        delay_frames: int,
        clock: RunClock = SYSTEM_CLOCK,
    ) -> None:
        self._backend = backend
        self._wiring = wiring
        self._delay_frames = delay_frames
        self._clock = clock
        self.samplerate, self.blocksize = wiring.samplerate, wiring.blocksize
        rate = wiring.samplerate
        capacity = delay_frames + round(RING_SECONDS * rate)
        self.ports = {
            name: PlaybackPort(
                stems,
                device.output_channels,
                rate,
                delay_frames,
                capacity_frames=capacity,
                # the input's clock is that of the first output, or the first output leads a file
                drift=index > 0 or not (wiring.duplex or wiring.input is None),
            )
            for index, (name, device) in enumerate(
                zip(wiring.port_names, wiring.outputs, strict=True)
            )
        }
        gains = wiring.channel_gains
        self.capture = CapturePort(
            len(gains),
            rate,
            list(self.ports.values()),
            capacity_frames=capacity,
            channel_gains=gains,
        )
        for port in (self.capture, *self.ports.values()):
            port.use_clock(clock)
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
            owner=(port, self.capture),
        )

    def ask(self) -> tuple[float, float]:
        """Return what input and first output say of their latency; opens them, and starts nothing.

        Raises:
            DeviceError: a device cannot be had as asked.
        """
        seconds = [link.ask() for link in self.links]
        first_output = seconds[len(self.links) - len(self.ports)]
        return seconds[0][0], first_output[1]

    def open(self) -> None:
        """Open and start every stream.

        Raises:
            DeviceError: a device cannot be had as asked; none is left open.
        """
        if self._wiring.input is not None:
            for port in self.ports.values():
                port.skip(0)  # a device records from the middle of something: it fades in
        try:
            for link in self.links:
                link.open(lambda link=link: self._starting(link))  # type: ignore[misc]
        except BaseException:
            self.close()
            raise

    def _starting(self, link: Link) -> float:
        """Tell a stream's ports how to read its times; return now."""
        if link.request.input is not None:
            self.capture.leave_out(link.uncounted_seconds)
        for one, port in self._outputs():
            if one is link:
                port.leave_out(link.uncounted_seconds)
        return self._clock()

    def close(self) -> None:
        """Give every device back."""
        for link in self.links:
            link.close()

    @property
    def device_seconds(self) -> tuple[float, float]:
        """What the input and the first output said of their own latency, when last opened."""
        first_output, _ = next(self._outputs())
        return self.links[0].latency_seconds[0], first_output.latency_seconds[1]

    @property
    def exact(self) -> tuple[bool, bool]:
        """Whether what input and first output say of themselves is right to the frame."""
        first_output, _ = next(self._outputs())
        return self.links[0].uncounted_seconds > 0, first_output.uncounted_seconds > 0

    @property
    def lost(self) -> list[Link]:
        """The streams whose device is away."""
        return [link for link in self.links if link.away]

    def live_port(self) -> PlaybackPort | None:
        """The first output that plays: a file goes at its pace."""
        for link, port in self._outputs():
            if not link.away:
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
        closed = [link for link in self.links if link.stream is None]
        for link in closed:
            self._stand_in(link, now)
        self._bring_back([link for link in closed if link.due(now)], now)

    def _stand_in(self, link: Link, now: float) -> None:
        """Let the time pass for the ports of a stream whose device is away."""
        frames = link.pass_time(now)
        if link.request.input is not None:
            if link.cut and frames:
                self._end_softly(frames)
                link.cut = False
            self.capture.skip(frames)
        for one, port in self._outputs():
            if one is link:
                self._keep_place(port)

    def _end_softly(self, most_frames: int) -> None:
        """Let what was recorded last ring out, backwards, where it was cut off: without a step."""
        frames = min(most_frames, FADE_FRAMES)
        for ring in (self.capture.ring, *(port.dry_ring for port in self.ports.values())):
            last = (ring.end_frame - 1 - np.arange(frames)) % ring.capacity_frames
            if ring.end_frame >= frames:
                ramp = (1 - np.arange(1, frames + 1) / frames).astype(np.float32)
                ring.write(ring.data.reshape(-1, 2)[last] * ramp[:, np.newaxis])

    def _keep_place(self, port: PlaybackPort) -> None:
        """Let go what a port would have played by now. A file goes on only where it is heard."""
        if self._wiring.input is not None:
            due = self.capture.counters().captured_frames - self._delay_frames
        else:
            due = math.floor((self.live_port() or port).counters().position)
        port.skip(max(0, due - math.floor(port.counters().position)))
        # with drift the clocks tell, when the device is back, where the port is: about here
        kept_from = due - round(SPARE_SECONDS * self.samplerate) * port.drift
        port.stem_ring.release(kept_from)
        port.dry_ring.release(kept_from)

    def _bring_back(self, due: Sequence[Link], now: float) -> None:
        """Try lost devices again.

        A device is tried under its old entry. Where that fails, it needs PortAudio to start anew,
        since only then it sees devices come; for that all streams are closed, so it is done only
        where nothing is heard anyway.
        """
        for link in due:
            self._reopen(link)
        missing = [link for link in due if link.stream is None]
        if missing and self._is_silent():
            self._look_again(now)
        for link in missing:
            if link.stream is None:
                link.failed(now)

    def _look_again(self, now: float) -> None:
        standing = [link for link in self.links if link.stream is not None]
        for link in standing:
            link.close()
        try:
            self._backend.refresh()
        except DeviceError as error:
            for link in self.links:
                link.trouble = str(error)
        else:
            for link in self.links:
                self._reopen(link, anew=True)
        for link in standing:
            if link.stream is None:
                link.lose(now)

    def _reopen(self, link: Link, *, anew: bool = False) -> None:
        """Try to open a stream again; with ``anew`` from a new list of devices."""

        def starting() -> float:
            now = self._starting(link)
            self._stand_in(link, now)
            return now

        try:
            if anew:
                link.find_again()
            link.open(starting)
        except DeviceError as error:
            link.trouble = str(error)

    def _is_silent(self) -> bool:
        """Return whether no output has anything left to play."""
        playing = [port for link, port in self._outputs() if not link.away]
        first = self.links[0]
        if not playing:
            return True
        if first.request.input is None or not first.away:
            return False
        recorded = self.capture.counters().captured_frames - first.gap_frames
        return all(port.counters().position > recorded for port in playing)
