"""Fake sound devices on virtual time: the double for every test of a live run.

`VirtualBackend.advance` runs the streams' real callbacks, through their C addresses, in the order
of virtual time, which stands still in between. Nothing depends on the machine's clock or load: the
same calls give the same samples.

Each device counts frames on its own clock from virtual time 0 on, even if nobody listens. A source
is a function of that frame number, and played sound is kept under it. So a device loss is
known to the sample.

    microphone = VirtualDevice("mic", input_channels=2, source=noise, ppm=200)
    speakers = VirtualDevice("speakers", output_channels=8, jitter_seconds=0.001)
    backend = VirtualBackend([microphone, speakers])
    backend.at(3.0, microphone.unplug)
    backend.at(4.0, microphone.replug)
    backend.advance(10.0, every=(0.002, session.poll))
    speakers.heard(0, 480000)
"""

from __future__ import annotations

import bisect
import ctypes
import math
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from streamer.live.devices.device import (
    Device,
    Kind,
    StreamRequest,
    check_channels,
    is_busy,
    is_gone,
    pair_refused,
    rate_refused,
)
from streamer.live.realtime.run_clock import RunClock
from streamer.testing.virtual_device import VirtualDevice

Hook = tuple[float, Callable[[], object]]

INPUT_OVERFLOW, OUTPUT_UNDERFLOW = 2, 4  # PaStreamCallbackFlags
_CONTINUE = 0  # PaStreamCallbackResult

_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,  # input
    ctypes.c_void_p,  # output
    ctypes.c_ulong,  # frames
    ctypes.c_void_p,  # PaStreamCallbackTimeInfo
    ctypes.c_ulong,  # PaStreamCallbackFlags
    ctypes.c_void_p,  # user data
)


class VirtualStream:
    """A stream on a fake device. See `DeviceStream`."""

    def __init__(self, device: VirtualDevice, request: StreamRequest) -> None:
        """Not for callers: see `VirtualBackend.open`."""
        self._device, self._request = device, request
        self._generation = device.generation
        self.block_frames = request.blocksize or device.block_frames
        self._callback = _CALLBACK(request.callback_address)
        self._random = np.random.default_rng(device.seed)
        self._running = False
        self._due_frame = 0
        self._flags = 0
        self._late_seconds = 0.0
        self._last_seconds = 0.0
        self._blocks = 0
        self._started = 0.0
        self.closed = False
        buffered = self.block_frames / request.samplerate if request.input else 0.0
        self.input_latency_seconds = (buffered + device.converter_seconds) * bool(request.input)
        ahead = (device.fill_blocks - 1) * self.block_frames / request.samplerate
        self.output_latency_seconds = (ahead + device.converter_seconds) * bool(request.output)
        self.uncounted_seconds = device.uncounted_seconds
        self.exact = self.uncounted_seconds > 0
        self._times = np.zeros(3)  # PaStreamCallbackTimeInfo: input ADC, now, output DAC

    @property
    def _lost(self) -> bool:
        return self._generation != self._device.generation

    @property
    def active(self) -> bool:
        """Whether the device says that it calls."""
        return self._running and not (self._lost and self._device.told)

    def time(self) -> float:
        """Virtual time, on the clock of this stream."""
        return self._device.clock() + self._device.stream_epoch_seconds

    def start(self) -> None:
        """Start the callbacks."""
        if self._lost:
            raise is_gone(self._request)
        now = self._device.clock()
        self._due_frame = math.ceil(self._device.frame_at(now))
        if self._request.input:  # what it hands over has to be captured first
            self._due_frame += self.block_frames
        self._running, self._last_seconds, self._blocks = True, now, 0
        self._draw()

    def look(self) -> None:
        """Nothing is to be done."""

    def stop(self) -> None:
        """Stop the callbacks."""
        self._running = False

    def close(self) -> None:
        """Release the device."""
        self._running, self.closed = False, True

    def next_seconds(self) -> float:
        """When the next callback comes; infinity if none does."""
        device = self._device
        if not self._running or self._lost or device.paused_until == math.inf:
            return math.inf
        while device.loses and device.time_of(self._due_frame) < device.paused_until:
            self._due_frame += self.block_frames
            self._flags = INPUT_OVERFLOW * bool(self._request.input)
            self._flags |= OUTPUT_UNDERFLOW * bool(self._request.output)
        behind = device.burst_blocks - 1 - self._blocks % device.burst_blocks
        behind -= device.fill_blocks - 1
        due = device.time_of(self._due_frame + behind * self.block_frames) + self._late_seconds
        return max(due, device.paused_until, self._last_seconds)

    def call(self, now: float) -> None:
        """Run the callback for the block that is due."""
        device, frames = self._device, self.block_frames
        converter_frames = round(device.converter_seconds * device.samplerate)
        captured_frame = self._due_frame - frames - converter_frames
        played_frame = self._due_frame + converter_frames
        captured = played = None
        epoch = device.stream_epoch_seconds
        self._times[:] = 0.0, epoch + now, 0.0
        if self._request.input:
            captured = device.produce(captured_frame, frames)[:, : self._request.input_channels]
            captured = np.ascontiguousarray(captured)
            self._times[0] = epoch + device.time_of(captured_frame) - self.uncounted_seconds
        if self._request.output:
            # rubbish, as in a real buffer: the callback has to write all of it
            played = np.full((frames, self._request.output_channels), np.nan, np.float32)
            self._times[2] = epoch + device.time_of(played_frame) + self.uncounted_seconds
        result = self._callback(
            None if captured is None else captured.ctypes.data,
            None if played is None else played.ctypes.data,
            frames,
            self._times.ctypes.data,
            self._flags,
            self._request.state_address,
        )
        if played is not None:
            device.play(played_frame, played)
        self._running = result == _CONTINUE
        self._flags, self._last_seconds = 0, now
        self._due_frame += frames
        self._blocks += 1
        self._draw()

    def _draw(self) -> None:
        self._late_seconds = self._random.uniform(0.0, self._device.jitter_seconds)


class VirtualBackend:
    """Fake devices on one virtual clock. See `AudioBackend`.

    With ``reopens`` a device that was away opens again without a `refresh`, as with ALSA. Without
    it the list must be made again first, as on most systems.
    """

    def __init__(self, devices: Sequence[VirtualDevice], *, reopens: bool = False) -> None:
        self.fakes = list(devices)
        self.reopens = reopens
        self.run_clock = RunClock(np.zeros(1))
        self._streams: list[VirtualStream] = []
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._planned = 0
        self._listed: list[tuple[Device, VirtualDevice, int]] = []
        for fake in self.fakes:
            fake.clock = self.clock
        self.refresh()

    def clock(self) -> float:
        """Virtual now, in seconds."""
        return self.run_clock()

    def _go_to(self, seconds: float) -> None:
        assert self.run_clock.virtual is not None
        self.run_clock.virtual[0] = seconds

    def at(self, seconds: float, event: Callable[[], object]) -> None:
        """Do something at a virtual time, before the callbacks of that time."""
        bisect.insort(self._events, (seconds, self._planned, event))
        self._planned += 1

    def restart_server(self, away_seconds: float, hostapi: str = "Virtual") -> None:
        """End the streams of a host API now, and bring its devices back after a while."""
        for fake in self.fakes:
            if fake.hostapi == hostapi:
                fake.unplug(told=True)
                self.at(self.clock() + away_seconds, fake.replug)

    def advance(self, seconds: float, every: Hook | None = None) -> None:
        """Let time pass: run what is planned and all callbacks, in order.

        ``every`` is a period and a function to run at each multiple of it, after the callbacks of
        that time.
        """
        until = self.clock() + seconds
        tick = _next_tick(self.clock(), every[0]) if every else 0
        while True:
            event = self._events[0][0] if self._events else math.inf
            streams = [(stream.next_seconds(), order) for order, stream in self._running()]
            callback = min(streams, default=(math.inf, 0))
            hook = tick * every[0] if every else math.inf
            soonest = min(event, callback[0], hook)
            if soonest > until:
                break
            self._go_to(max(self.clock(), soonest))
            if event == soonest:
                self._events.pop(0)[2]()
            elif callback[0] == soonest:
                self._streams[callback[1]].call(self.clock())
            else:
                tick += 1
                cast(Hook, every)[1]()
        self._go_to(until)

    def _running(self) -> list[tuple[int, VirtualStream]]:
        return [pair for pair in enumerate(self._streams) if not pair[1].closed]

    def devices(self) -> list[Device]:
        """The devices as of the last `refresh`."""
        return [device for device, _, _ in self._listed]

    def refresh(self) -> bool:
        """Look for devices again; returns False, without a look, while a stream is open."""
        if self._running():
            return False
        here = [fake for fake in self.fakes if fake.plugged]
        # one that was away comes last, as it does on most systems
        here.sort(key=lambda fake: fake.generation)
        self._listed = [
            (_listing(index, fake, here), fake, fake.generation) for index, fake in enumerate(here)
        ]
        return True

    def channels_behind(self, device: Device, kind: Kind) -> int | None:
        """Return the device's channels: a fake one tells the truth."""
        return device.channels(kind)

    def open(self, request: StreamRequest) -> VirtualStream:
        """Open a stream.

        Raises:
            DeviceError: it cannot be had as asked.
        """
        fakes = [self._fake(request, device) for _, device, _ in request.sides()]
        check_channels(request)
        if len(set(map(id, fakes))) > 1:
            raise pair_refused(request)
        fake = fakes[0]
        if fake.busy:
            raise is_busy(request)
        if request.samplerate != fake.samplerate:
            raise rate_refused(request)
        stream = VirtualStream(fake, request)
        self._streams = [*(stream for _, stream in self._running()), stream]
        return stream

    def _fake(self, request: StreamRequest, device: Device) -> VirtualDevice:
        for listed, fake, generation in self._listed:
            current = generation == fake.generation or self.reopens
            if listed == device and fake.plugged and current:
                return fake
        raise is_gone(request)


def _next_tick(now: float, period: float) -> int:
    tick = math.floor(now / period)
    while tick * period <= now:
        tick += 1
    return tick


def _listing(index: int, fake: VirtualDevice, here: Sequence[VirtualDevice]) -> Device:
    return Device(
        index=index,
        name=fake.name,
        hostapi=fake.hostapi,
        input_channels=fake.input_channels,
        output_channels=fake.output_channels,
        samplerate=fake.samplerate,
        input_latency_seconds=fake.converter_seconds,
        output_latency_seconds=fake.converter_seconds,
        default_input=fake is next((one for one in here if one.input_channels), None),
        default_output=fake is next((one for one in here if one.output_channels), None),
    )
