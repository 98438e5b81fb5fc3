"""The sound devices of this machine, through PortAudio.

A stream calls native code straight from PortAudio's own thread: sounddevice hands over the address
of a C function, as python-rtmixer does. PortAudio is loaded with the first `PortAudioBackend`.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from streamer.errors import DeviceError
from streamer.live.devices.device import (
    JACK_OF_PORTAUDIO,
    Device,
    Kind,
    Latency,
    StreamRequest,
    check_channels,
    is_busy,
    is_gone,
    is_unusable,
    pair_refused,
    rate_refused,
)
from streamer.live.devices.portaudio_library import Library, library
from streamer.live.devices.sound_server import ServerStream, own_streams

SAFE_OUTPUT_SECONDS = 0.1
"""The "high" latency of an ALSA output: with PortAudio's own 35 ms PulseAudio runs empty on a busy
machine. An input loses nothing with 35 ms."""

_CARD_PERIODS = 4
"""Of an ALSA card's buffer, in PortAudio."""

# PaErrorCode of portaudio.h
_INVALID_RATE, _INVALID_DEVICE, _INVALID_PAIR, _UNAVAILABLE = -9997, -9996, -9993, -9985


class PortAudioBackend:
    """The devices that PortAudio knows. See `AudioBackend`.

    Raises:
        DeviceError: PortAudio is not installed, or does not start.
    """

    def __init__(self) -> None:
        self._library = library()

    def version(self) -> str:
        """PortAudio's name and version."""
        text: str = self._library.sounddevice.get_portaudio_version()[1]
        return text.partition(",")[0]

    def hostapis(self) -> list[str]:
        """The names of the host APIs: ALSA, JACK Audio Connection Kit, Core Audio, ..."""
        return [api["name"] for api in self._library.sounddevice.query_hostapis()]

    def devices(self) -> list[Device]:
        """The devices as of the last `refresh`."""
        names = self.hostapis()
        default_input = self._library.sounddevice._lib.Pa_GetDefaultInputDevice()
        default_output = self._library.sounddevice._lib.Pa_GetDefaultOutputDevice()
        return [
            Device(
                index=info["index"],
                name=info["name"],
                hostapi=names[info["hostapi"]],
                input_channels=info["max_input_channels"],
                output_channels=info["max_output_channels"],
                samplerate=round(info["default_samplerate"]),
                input_latency_seconds=info["default_low_input_latency"],
                output_latency_seconds=info["default_low_output_latency"],
                default_input=info["index"] == default_input,
                default_output=info["index"] == default_output,
            )
            for info in self._library.sounddevice.query_devices()
        ]

    def refresh(self) -> bool:
        """Look for devices again; returns False, without a look, while a stream is open.

        Raises:
            DeviceError: the sound server does not answer.
        """
        if self._library.streams:
            return False
        self._library.restart()
        return True

    def channels_behind(self, device: Device, kind: Kind) -> int | None:
        """Ask the sound server for the channels behind a plugin; all other devices tell the truth.

        Raises:
            DeviceError: the sound server does not answer.
        """
        if not device.through_plugin:
            return device.channels(kind)
        sounddevice = self._library.sounddevice
        make = sounddevice.RawOutputStream if kind == "output" else sounddevice.RawInputStream

        def ask() -> list[ServerStream]:
            # only a stream has a place on the server; this one is never started
            with closing(make(device.samplerate, device=device.index, channels=1)):
                return own_streams(kind)

        with suppress(sounddevice.PortAudioError):  # told when it is opened in earnest
            if streams := self._library.call(ask):
                return streams[-1].channels
        return None

    def open(self, request: StreamRequest) -> PortAudioStream:
        """Open a stream.

        Raises:
            DeviceError: it cannot be had as asked.
        """
        check_channels(request)
        wanted = {(one.index, one.hostapi, one.name) for _, one, _ in request.sides()}
        portaudio, made = self._library.sounddevice._lib, list[PortAudioStream]()

        def opened() -> PortAudioStream:
            made.append(PortAudioStream(self._library, request))
            return made[-1]

        def give_back() -> None:
            for stream in made:
                stream.close_in(portaudio)

        with _refusals(self._library, request):
            # an entry of an older list has an index that may be another device's now
            listed = {(one.index, one.hostapi, one.name) for one in self.devices()}
            if not wanted <= listed or (_through_jack(request) and self._library.jack_is_gone()):
                raise is_gone(request)
            stream = self._library.call(opened, late=give_back)
        self._library.streams.add(stream)
        return stream


class PortAudioStream:
    """A PortAudio stream whose callback is native code. See `DeviceStream`."""

    def __init__(self, library: Library, request: StreamRequest) -> None:
        """Not for callers: see `PortAudioBackend.open`."""
        self._library = library
        self._request = request
        self._jack = _through_jack(request)
        self._stream = _opened(library.sounddevice, request)
        latency = self._stream.latency
        duplex = isinstance(latency, tuple)
        self.input_latency_seconds = self.output_latency_seconds = 0.0
        if request.input:
            self.input_latency_seconds = float(latency[0] if duplex else latency)
        if request.output:
            self.output_latency_seconds = float(latency[1] if duplex else latency)
        self.uncounted_seconds = self._period_seconds() if self._jack else 0.0
        self.exact, self.block_frames = self.uncounted_seconds > 0, request.blocksize
        if all(_is_card(device) for _, device, _ in request.sides()):
            _ask_for_realtime(library.sounddevice, self._stream)

    def _period_seconds(self) -> float:
        """Return JACK's period, by which its ports' latencies, as listed, are over the stream's.

        PortAudio leaves it out of these ("one buffer is not counted"), but not out of the times.
        """
        request = self._request
        if request.input:
            return max(0.0, request.input.input_latency_seconds - self.input_latency_seconds)
        assert request.output is not None
        block_seconds = request.blocksize / request.samplerate
        ports_seconds = request.output.output_latency_seconds + block_seconds
        return max(0.0, ports_seconds - self.output_latency_seconds)

    @property
    def closed(self) -> bool:
        """Whether the device is released."""
        return bool(self._stream.closed)

    @property
    def active(self) -> bool:
        """Whether PortAudio says that it calls. It may say so and not call: see `watchdog`."""
        try:
            return bool(self._stream.active)
        except self._library.sounddevice.PortAudioError:
            return False

    def time(self) -> float:
        """Now, on the clock of the times that the callback gets."""
        return float(self._stream.time)

    def start(self) -> None:
        """Start the callbacks.

        Raises:
            DeviceError: the device does not start.
        """
        with _refusals(self._library, self._request):
            self._library.call(self._stream.start, self)

    def look(self) -> None:
        """Nothing is to be done: PortAudio follows its devices itself."""

    def stop(self) -> None:
        """Play the buffered sound, then stop the callbacks."""
        if not self.closed and not self._abandoned():
            with suppress(DeviceError):
                self._library.call(self._stream.stop, self)

    def close(self) -> None:
        """Stop at once and release the device. Twice is fine; never raises."""
        if not self.closed and not self._abandoned():
            with suppress(DeviceError):
                self._library.call(self._stream.close, self)
        self._forget()

    def close_in(self, portaudio: Any) -> None:
        """Release the device through the copy of the library that opened it."""
        portaudio.Pa_CloseStream(self._stream._ptr)

    def _abandoned(self) -> bool:
        """Whether PortAudio would wait for a JACK server that is gone."""
        if self._jack and self._library.jack_is_gone():
            self._library.leave(self)
            self._forget()
        return self.closed

    def _forget(self) -> None:
        self._stream._ptr = self._library.sounddevice._ffi.NULL
        self._library.streams.discard(self)


def _through_jack(request: StreamRequest) -> bool:
    return any(device.hostapi == JACK_OF_PORTAUDIO for _, device, _ in request.sides())


def _opened(sounddevice: Any, request: StreamRequest) -> Any:
    kinds, devices, channels = zip(*request.sides(), strict=True)
    indices = [device.index for device in devices]
    latencies = [_latency(request, kind, device) for kind, device, _ in request.sides()]
    duplex = len(kinds) == 2
    return sounddevice._StreamBase(
        kind="duplex" if duplex else kinds[0],
        samplerate=request.samplerate,
        blocksize=request.blocksize,
        device=indices if duplex else indices[0],
        channels=channels if duplex else channels[0],
        dtype="float32",
        latency=latencies if duplex else latencies[0],
        callback=sounddevice._ffi.cast("void *", request.callback_address),
        userdata=sounddevice._ffi.cast("void *", request.state_address),
        wrap_callback=None,
    )


def _latency(request: StreamRequest, kind: Kind, device: Device) -> Latency:
    if (request.latency, kind, device.hostapi) == ("high", "output", "ALSA"):
        return SAFE_OUTPUT_SECONDS
    if request.latency == "low" and device.keeps_blocks:
        # PortAudio makes a card's period of a quarter of this and a block: with its own 8 ms a
        # period has several short blocks, which come at once
        block_seconds = request.blocksize / request.samplerate
        return min(_own_latency(device, kind), (_CARD_PERIODS - 1) * block_seconds)
    return request.latency


def _own_latency(device: Device, kind: Kind) -> float:
    return device.input_latency_seconds if kind == "input" else device.output_latency_seconds


@contextmanager
def _refusals(library: Library, request: StreamRequest) -> Iterator[None]:
    try:
        yield
    except library.sounddevice.PortAudioError as error:
        raise _refusal(error, request) from error


def _refusal(error: Any, request: StreamRequest) -> DeviceError:
    """PortAudio's error in one sentence."""
    code = error.args[1] if len(error.args) > 1 else 0
    if code == _UNAVAILABLE or "busy" in str(error).lower():
        return is_busy(request)
    known = {_INVALID_RATE: rate_refused, _INVALID_PAIR: pair_refused, _INVALID_DEVICE: is_gone}
    if code in known:
        return known[code](request)
    return is_unusable(request, _reason(error))


def _reason(error: Any) -> str:
    """Return the reason of the system, or else of PortAudio, without sounddevice's stream name."""
    said, _, host = (*error.args, None, None)[:3]
    return str(host[2]) if host and host[2] else re.sub(r"^Error \w+ \w+: ", "", str(said))


def _is_card(device: Device) -> bool:
    return device.hostapi == "ALSA" and not device.through_plugin


def _ask_for_realtime(sounddevice: Any, stream: Any) -> None:
    """Ask PortAudio to start the thread of an ALSA stream with SCHED_FIFO.

    If the system does not grant it, the stream runs without. JACK and Core Audio do this
    themselves. It is not done for a plugin: after an xrun PortAudio polls a plugin in a busy loop
    for a while. With priority that loop would stop the sound server's own threads, and the sound
    again and again.
    """
    with suppress(OSError, AttributeError):  # another host API's PortAudio has no such function
        ask = ctypes.CDLL(sounddevice._libname).PaAlsa_EnableRealtimeScheduling
        ask.argtypes, ask.restype = (ctypes.c_void_p, ctypes.c_int), None
        ask(int(sounddevice._ffi.cast("uintptr_t", stream._ptr)), 1)
