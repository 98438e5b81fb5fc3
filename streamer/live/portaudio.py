"""The sound devices of this machine: the one module that uses sounddevice, and so PortAudio.

Neither is loaded before a `PortAudioBackend` is made. A stream calls native code straight from
PortAudio's own thread: sounddevice hands over the address of a C function, as python-rtmixer does.

PortAudio makes its list of devices once, when it starts, and never looks again; `refresh` starts
it anew, which no open stream survives.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from streamer.errors import DeviceError
from streamer.live.devices import (
    Device,
    StreamRequest,
    check_channels,
    is_busy,
    is_gone,
    is_unusable,
    pair_refused,
    rate_refused,
)

# PaErrorCode of portaudio.h
_INVALID_RATE, _INVALID_DEVICE, _INVALID_PAIR, _UNAVAILABLE = -9997, -9996, -9993, -9985


class PortAudioBackend:
    """The devices that PortAudio knows. See `Backend`.

    Raises:
        DeviceError: PortAudio is not installed, or does not start.
    """

    def __init__(self) -> None:
        self._library = _load()
        self._streams: list[PortAudioStream] = []

    def version(self) -> str:
        """PortAudio's name and version."""
        text: str = self._library.get_portaudio_version()[1]
        return text.partition(",")[0]

    def hostapis(self) -> list[str]:
        """The names of the host APIs: ALSA, JACK Audio Connection Kit, Core Audio, ..."""
        return [api["name"] for api in self._library.query_hostapis()]

    def devices(self) -> list[Device]:
        """The devices as of the last `refresh`."""
        names = self.hostapis()
        default_input = self._library._lib.Pa_GetDefaultInputDevice()
        default_output = self._library._lib.Pa_GetDefaultOutputDevice()
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
            for info in self._library.query_devices()
        ]

    def refresh(self) -> bool:
        """Look for devices again; returns False, without a look, while a stream is open."""
        self._streams = [stream for stream in self._streams if not stream.closed]
        if self._streams:
            return False
        with _quiet():
            self._library._terminate()
            self._library._initialize()
        return True

    def open(self, request: StreamRequest) -> PortAudioStream:
        """Open a stream.

        Raises:
            DeviceError: It cannot be had as asked.
        """
        check_channels(request)
        try:
            with _quiet():
                stream = PortAudioStream(self._library, request)
        except self._library.PortAudioError as error:
            raise _refusal(error, request) from error
        self._streams.append(stream)
        return stream


class PortAudioStream:
    """A PortAudio stream whose callback is native code. See `Stream`."""

    def __init__(self, library: Any, request: StreamRequest) -> None:
        """Not for callers: see `PortAudioBackend.open`."""
        self._library = library
        self._request = request
        self._realtime = False
        sides = list(request.sides())
        kinds, devices, channels = zip(*sides, strict=True)
        duplex = len(sides) == 2
        self._stream = library._StreamBase(
            kind="duplex" if duplex else kinds[0],
            samplerate=request.samplerate,
            blocksize=request.blocksize,
            device=[device.index for device in devices] if duplex else devices[0].index,
            channels=channels if duplex else channels[0],
            dtype="float32",
            latency=request.latency,
            callback=library._ffi.cast("void *", request.callback_address),
            userdata=library._ffi.cast("void *", request.state_address),
            wrap_callback=None,
        )
        latencies = self._stream.latency if duplex else [self._stream.latency] * 2
        self.input_latency_seconds: float = latencies[0] if request.input else 0.0
        self.output_latency_seconds: float = latencies[1] if request.output else 0.0
        if all(device.hostapi == "ALSA" for device in devices):
            _ask_for_realtime(library, self._stream)

    @property
    def closed(self) -> bool:
        """Whether the device is given back."""
        return bool(self._stream.closed)

    @property
    def active(self) -> bool:
        """Whether PortAudio says that it calls. It may say so and not do it: see `watchdog`."""
        try:
            return bool(self._stream.active)
        except self._library.PortAudioError:
            return False

    @property
    def realtime(self) -> bool:
        """Whether the thread that calls was granted real-time priority."""
        return self._realtime

    @property
    def cpu_load(self) -> float:
        """Share of a block's time that the callback takes."""
        return 0.0 if self.closed else float(self._stream.cpu_load)

    def time(self) -> float:
        """Now, on the clock of the times that the callback gets."""
        return float(self._stream.time)

    def start(self) -> None:
        """Begin to call.

        Raises:
            DeviceError: The device does not start.
        """
        before = _threads()
        try:
            with _quiet():
                self._stream.start()
        except self._library.PortAudioError as error:
            raise _refusal(error, self._request) from error
        self._realtime = any(_is_realtime(thread) for thread in _threads() - before)

    def stop(self) -> None:
        """Play what is buffered, then call no more."""
        if not self.closed:
            with _quiet():
                self._stream.stop()

    def close(self) -> None:
        """Stop at once and give the device back. Twice is fine; never raises."""
        if not self.closed:
            with _quiet():
                self._stream.close()


def _load() -> Any:
    """Import sounddevice, which finds and starts PortAudio."""
    try:
        return importlib.import_module("sounddevice")
    except ImportError as error:
        raise DeviceError("sounddevice is not installed; try pip install sounddevice") from error
    except OSError as error:
        raise DeviceError(
            "the PortAudio library is not installed; try apt install libportaudio2"
        ) from error
    except Exception as error:  # PortAudioError, of a module that did not come to be
        raise DeviceError(f"PortAudio does not start ({error}); see `stemstream doctor`") from error


def _refusal(error: Any, request: StreamRequest) -> DeviceError:
    """PortAudio's error in one sentence."""
    code = error.args[1] if len(error.args) > 1 else 0
    if code == _UNAVAILABLE or "busy" in str(error).lower():
        return is_busy(request)
    known = {_INVALID_RATE: rate_refused, _INVALID_PAIR: pair_refused, _INVALID_DEVICE: is_gone}
    if code in known:
        return known[code](request)
    return is_unusable(request, str(error))


def _ask_for_realtime(library: Any, stream: Any) -> None:
    """Ask PortAudio to start the thread of an ALSA stream with SCHED_FIFO.

    It goes on without where the system does not grant it. JACK and Core Audio do this themselves.
    """
    with suppress(OSError, AttributeError):  # another host API's PortAudio has no such function
        ask = ctypes.CDLL(library._libname).PaAlsa_EnableRealtimeScheduling
        ask.argtypes, ask.restype = (ctypes.c_void_p, ctypes.c_int), None
        ask(int(library._ffi.cast("uintptr_t", stream._ptr)), 1)


def _threads() -> set[int]:
    with suppress(OSError):
        return {int(thread.name) for thread in Path("/proc/self/task").iterdir()}
    return set()


def _is_realtime(thread: int) -> bool:
    with suppress(OSError):  # it has ended
        return os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR)
    return False


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what ALSA, JACK and PortAudio print out of the terminal; errors are raised anyway."""
    try:
        kept = os.dup(2)
    except OSError:  # no standard error to keep clean
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
