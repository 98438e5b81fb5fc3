"""The devices of a live run: their ports, the streams on them, and what happens when one is lost.

While a device is away, its port keeps pace. Silence goes in for the sound that it would have
recorded, and the sound that it would have played is dropped. So positions always match the time,
and the delay is the same when the device comes back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from streamer.errors import DeviceError
from streamer.live.devices.device import AudioBackend, Device, StreamRequest
from streamer.live.devices.reconnecting import ReconnectingStream
from streamer.live.devices.wiring import Wiring
from streamer.live.realtime.callbacks import FADE_FRAMES
from streamer.live.realtime.ports import CapturePort, DuplexPort, PlaybackPort
from streamer.live.realtime.run_clock import SYSTEM_CLOCK, RunClock
from streamer.live.status import DeviceState, DeviceStatus, Reason

RING_SECONDS = 4.0
"""Room in the rings beyond the delay: the engine may be held up this long without a loss."""
FIRST_LOOK_SECONDS = 1.0
LONGEST_LOOK_SECONDS = 30.0
"""From one new list of devices to the next, where each of them cuts off an input."""
SPARE_SECONDS = 1.0
"""How much a port with its own clock keeps in its rings while its device is away."""


class DeviceStreams:
    """The ports of a wiring, and a `ReconnectingStream` for each of its streams.

    With ``whole_blocks`` the blocks of an input lie on one grid, also after it was away.
    """

    def __init__(
        self,
        backend: AudioBackend,
        wiring: Wiring,
        stems: int,
        delay_frames: int,
        clock: RunClock = SYSTEM_CLOCK,
        *,
        fade_frames: int = FADE_FRAMES,
        whole_blocks: bool = False,
    ) -> None:
        self._backend = backend
        self._wiring = wiring
        self._whole_blocks = whole_blocks
        self.delay_frames = delay_frames
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
                fade_frames=fade_frames,
                # the input shares the first output's clock, or the first output leads a file
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
        if wiring.input is None:
            self.capture.be_led_by(next(iter(self.ports.values())))
        self._next_look, self._look_wait = 0.0, FIRST_LOOK_SECONDS
        self._duplex: DuplexPort | None = None
        self.all = self._make_streams()

    def _make_streams(self) -> list[ReconnectingStream]:
        wiring = self._wiring
        streams = []
        outputs = list(zip(self.ports.values(), wiring.outputs, strict=True))
        if wiring.input is not None:
            capture = self.capture
            state: CapturePort | DuplexPort = capture
            output = None
            if wiring.duplex:
                port, output = outputs.pop(0)
                state = self._duplex = DuplexPort(capture, port)
            request = self._request(wiring.input, output, state)
            streams.append(
                ReconnectingStream(
                    self._backend,
                    request,
                    lambda: capture.counters().callbacks,
                    Reason.INPUT_LOST,
                )
            )
        for port, device in outputs:
            streams.append(
                ReconnectingStream(
                    self._backend,
                    self._request(None, device, port),
                    lambda port=port: port.counters().callbacks,  # type: ignore[misc]
                    Reason.OUTPUT_LOST,
                )
            )
        return streams

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
            input_ports=self._wiring.input_ports if source else (),
            output_ports=self._wiring.output_ports(output) if output else (),
            delay=lambda: self.delay_frames,
        )

    def mute(self) -> None:
        """Have the outputs fade out and play on silently: at the end, or until `set_delay`."""
        for port in self.ports.values():
            port.mute()

    def set_delay(self, frames: int) -> None:
        """Have the outputs be heard, with a delay that is no shorter than the first one."""
        self.delay_frames = frames
        for port in self.ports.values():
            port.set_delay(frames)

    def ask(self) -> tuple[float, float]:
        """Return the latency that input and first output report; open them, but start nothing.

        Raises:
            DeviceError: a device cannot be had as asked.
        """
        seconds = [stream.ask() for stream in self.all]
        first_output = seconds[len(self.all) - len(self.ports)]
        return seconds[0][0], first_output[1]

    def open(self) -> None:
        """Open and start every stream.

        Raises:
            DeviceError: a device cannot be had as asked; none is left open.
        """
        if self._wiring.input is not None:
            for port in self.ports.values():
                port.skip(0)  # a recording begins in the middle of a sound, so it fades in
        # a file goes at the pace of the first output: the others are silent until that begins
        order = self.all if self._wiring.input is not None else self.all[::-1]
        try:
            for stream in order:
                stream.open(lambda stream=stream: self._starting(stream))  # type: ignore[misc]
        except BaseException:
            self.close()
            raise

    def _starting(self, stream: ReconnectingStream) -> float:
        """Tell a stream's ports how to read its times; return now."""
        if stream.request.input is not None:
            self.capture.leave_out(stream.uncounted_seconds)
        for one, port in self._outputs():
            if one is stream:
                port.leave_out(stream.uncounted_seconds)
        return self._clock()

    def close(self) -> None:
        """Release every device."""
        for stream in self.all:
            stream.close()

    @property
    def device_seconds(self) -> tuple[float, float]:
        """The latency that input and first output reported when they were last opened."""
        first_output, _ = next(self._outputs())
        return self.all[0].latency_seconds[0], first_output.latency_seconds[1]

    @property
    def exact(self) -> tuple[bool, bool]:
        """Whether the reported latency of input and first output is right to the frame."""
        first_output, _ = next(self._outputs())
        return self.all[0].exact, first_output.exact

    def devices(self) -> tuple[DeviceStatus, ...]:
        """Return how each device is, the input's first."""
        separate = self.all[: len(self.all) - len(self.ports)]
        names = [*(one.device.name for one in separate), *self.ports]
        return tuple(
            DeviceStatus(
                name=name,
                hostapi=stream.device.hostapi,
                input_channels=stream.request.input_channels,
                output_channels=stream.request.output_channels,
                state=DeviceState.GONE if stream.away else DeviceState.RUNNING,
                trouble=stream.trouble,
                losses=stream.losses,
            )
            for name, stream in zip(names, self.all, strict=True)
        )

    @property
    def lost(self) -> list[ReconnectingStream]:
        """The streams whose device is away."""
        return [stream for stream in self.all if stream.away]

    def live_port(self) -> PlaybackPort | None:
        """The first output that plays: a file goes at its pace."""
        for stream, port in self._outputs():
            if not stream.away:
                return port
        return None

    def _outputs(self) -> Iterator[tuple[ReconnectingStream, PlaybackPort]]:
        """Each port with the stream that plays it; a separate input comes before them."""
        streams = self.all[len(self.all) - len(self.ports) :]
        return zip(streams, self.ports.values(), strict=True)

    def watch(self, now: float) -> None:
        """Look after the streams; to be called often."""
        for stream in self.all:
            stream.watch(now)
        closed = [stream for stream in self.all if stream.device_stream is None]
        for stream in closed:
            self._stand_in(stream, now)
        if len(closed) == len(self.all):  # a file waits
            for port in self.ports.values():
                port.stand(now)
        self._bring_back([stream for stream in closed if stream.due(now)], now)
        if not self.lost:  # the next loss is another one
            self._next_look, self._look_wait = now, FIRST_LOOK_SECONDS

    def _stand_in(self, stream: ReconnectingStream, now: float) -> None:
        """Keep the ports of a stream in time while its device is away."""
        frames = stream.pass_time(now)
        if stream.request.input is not None and frames and stream.take_cut():
            self._end_softly(frames)
        self._skip(stream, frames)

    def _skip(self, stream: ReconnectingStream, frames: int) -> None:
        if stream.request.input is not None:
            self.capture.skip(frames)
        for one, port in self._outputs():
            if one is stream:
                self._keep_place(port)

    def _fill_block(self, stream: ReconnectingStream) -> None:
        """Have the next block begin where one would have begun: less than a block later.

        The delay of the native engine counts on that: a call that ends no hop plays what the last
        one brought.
        """
        frames = -self.capture.counters().captured_frames % stream.request.blocksize
        stream.miss(frames)
        self._skip(stream, frames)

    def _end_softly(self, most_frames: int) -> None:
        """Fade out after a cut: the last sound plays backwards, so there is no step."""
        frames = min(most_frames, FADE_FRAMES)
        for ring in (self.capture.ring, *(port.dry_ring for port in self.ports.values())):
            last = (ring.end_frame - 1 - np.arange(frames)) % ring.capacity_frames
            if ring.end_frame >= frames:
                ramp = (1 - np.arange(1, frames + 1) / frames).astype(np.float32)
                ring.write(ring.data.reshape(-1, 2)[last] * ramp[:, np.newaxis])

    def _keep_place(self, port: PlaybackPort) -> None:
        """Drop the sound that a port would have played by now. A file waits until it is heard."""
        if self._wiring.input is not None:
            due = self.capture.counters().captured_frames - self.delay_frames
        else:
            due = math.floor((self.live_port() or port).counters().position)
        port.skip(max(0, due - math.floor(port.counters().position)))
        # with drift the clocks tell, when the device is back, where the port is: about here
        kept_from = due - round(SPARE_SECONDS * self.samplerate) * port.drift
        port.stem_ring.release(kept_from)
        port.dry_ring.release(kept_from)

    def _bring_back(self, due: Sequence[ReconnectingStream], now: float) -> None:
        """Try lost devices again.

        A device is tried under its old entry first. If that fails, PortAudio must start again: only
        then does it see new devices. All streams must be closed for that, so it is done only if
        nothing is heard anyway; and more and more seldom if an input goes on, since a recording
        of it has a hole then.
        """
        for stream in due:
            self._reopen(stream)
        missing = [stream for stream in due if stream.device_stream is None]
        if missing and self._is_silent() and self._may_look(now):
            self._look_again(now)
        for stream in missing:
            if stream.device_stream is None:
                stream.failed(now)

    def _may_look(self, now: float) -> bool:
        """Return whether a new list costs no input a moment, or has not for a while."""
        if not any(stream.device_stream and stream.request.input for stream in self.all):
            return True
        if now < self._next_look:
            return False
        self._next_look = now + self._look_wait
        self._look_wait = min(2 * self._look_wait, LONGEST_LOOK_SECONDS)
        return True

    def _look_again(self, now: float) -> None:
        standing = [stream for stream in self.all if stream.device_stream is not None]
        for stream in standing:
            if stream.request.input is not None:
                stream.lose(now)  # what it misses is counted and told
            else:
                stream.close()
        try:
            self._backend.refresh()
        except DeviceError as error:
            for stream in self.all:
                stream.refused(error)
        else:
            for stream in self.all:
                self._reopen(stream, listed_again=True)
        for stream in standing:
            if stream.device_stream is None:
                stream.lose(now)

    def _reopen(self, stream: ReconnectingStream, *, listed_again: bool = False) -> None:
        """Try to open a stream again; with ``listed_again`` from a new list of devices."""

        def starting() -> float:
            now = self._starting(stream)
            self._stand_in(stream, now)
            if self._whole_blocks and stream.request.input is not None:
                self._fill_block(stream)
            return now

        try:
            if listed_again:
                stream.find_again()
            stream.open(starting)
        except DeviceError as error:
            stream.refused(error)

    def _is_silent(self) -> bool:
        """Return whether no output has anything left to play."""
        playing = [port for stream, port in self._outputs() if not stream.away]
        first = self.all[0]
        if not playing:
            return True
        if first.request.input is None or not first.away:
            return False
        recorded = self.capture.counters().captured_frames - first.away_frames
        return all(port.counters().position > recorded for port in playing)
