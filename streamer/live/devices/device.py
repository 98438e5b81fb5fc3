"""Sound devices, how to name one, and what a stream on it can do.

`PortAudioBackend` (`portaudio`) has the devices of this machine, `VirtualBackend` (`virtual`) has
fake ones on virtual time. Indices change when a device comes or goes, so after each `refresh` a
device is found again by its name and host API, never by index.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from streamer.errors import DeviceError
from streamer.words import counted

Kind = Literal["input", "output"]
KINDS: tuple[Kind, Kind] = ("input", "output")
Latency = Literal["low", "high"] | float
JACK_OF_PORTAUDIO: Final = "JACK Audio Connection Kit"
"""PortAudio's host API of that name. The JACK client of our own is no part of it."""
_CARD: Final = re.compile(r"\s*\(hw:\d+,\d+\)$")


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device. Latencies are its defaults for low latency; rates in Hz.

    ``block_frames`` are the frames of its blocks where only its server chooses them. A device that
    ``makes_ports`` has as many channels as are wanted, each a port with a name.
    """

    index: int
    name: str
    hostapi: str
    input_channels: int
    output_channels: int
    samplerate: int
    input_latency_seconds: float
    output_latency_seconds: float
    default_input: bool = False
    default_output: bool = False
    block_frames: int | None = None
    makes_ports: bool = False

    def channels(self, kind: Kind) -> int:
        """How many channels it has in one direction."""
        return self.input_channels if kind == "input" else self.output_channels

    @property
    def through_plugin(self) -> bool:
        """Whether it is a plugin of ALSA's, as for a sound server, and no card."""
        return self.hostapi == "ALSA" and "(hw:" not in self.name

    @property
    def brings_bursts(self) -> bool:
        """Whether it may call for several blocks at once.

        A sound server has blocks of its own, and a card may have longer periods than are asked
        for. PortAudio cuts both into our blocks.
        """
        return self.hostapi in ("ALSA", "Core Audio", JACK_OF_PORTAUDIO)

    @property
    def keeps_blocks(self) -> bool:
        """Whether short blocks can be asked for, one at a time: an ALSA card (see `portaudio`)."""
        return self.hostapi == "ALSA" and not self.through_plugin

    def __str__(self) -> str:
        return f"{self.index} {self.hostapi}:{self.name}"


@dataclass(frozen=True, slots=True)
class PortName:
    """A port to make for a channel; ``number`` is the card's channel that it belongs to, from 1."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """What to open: a device for input, output or both, and the native function to call.

    ``callback_address`` is where a C function with PortAudio's ``PaStreamCallback`` signature is;
    ``state_address`` is handed to it as user data; the stream keeps their ``owner`` alive. A
    ``blocksize`` of 0 lets the device choose, and change, the frames of a call. Samples are
    float32, interleaved. The ports are for devices that make them, one for each channel, and they
    tell others of the delay from input to output, the frames that ``delay`` returns.
    """

    input: Device | None
    output: Device | None
    input_channels: int
    output_channels: int
    samplerate: int
    blocksize: int
    latency: Latency
    callback_address: int
    state_address: int
    owner: object = None
    input_ports: tuple[PortName, ...] = ()
    output_ports: tuple[PortName, ...] = ()
    delay: Callable[[], int] = lambda: 0

    def ports(self) -> Iterator[tuple[Kind, PortName]]:
        """Each port to make, with its direction."""
        for port in self.input_ports:
            yield "input", port
        for port in self.output_ports:
            yield "output", port

    def sides(self) -> Iterator[tuple[Kind, Device, int]]:
        """Each direction that is asked for, with its device and channels."""
        if self.input is not None:
            yield "input", self.input, self.input_channels
        if self.output is not None:
            yield "output", self.output, self.output_channels


class DeviceStream(Protocol):
    """A stream that was opened. It makes no sound before `start` and after `stop` or `close`."""

    @property
    def active(self) -> bool:
        """Whether the device says that it calls. It may say so and not do it: see `watchdog`."""

    @property
    def input_latency_seconds(self) -> float:
        """From the converter to the callback, as the device tells."""

    @property
    def output_latency_seconds(self) -> float:
        """From the callback to the converter, as the device tells."""

    @property
    def uncounted_seconds(self) -> float:
        """What the callback's times count each way and the latencies do not."""

    @property
    def exact(self) -> bool:
        """Whether the latencies are a server's own figures, and right to the frame."""

    @property
    def block_frames(self) -> int:
        """The frames of a call."""

    def time(self) -> float:
        """Now, on the clock of the times that the callback gets."""

    def start(self) -> None:
        """Begin to call."""

    def look(self) -> None:
        """Do what there is to do now and then while it runs, several times a second."""

    def stop(self) -> None:
        """Play what is buffered, then call no more."""

    def close(self) -> None:
        """Stop at once and give the device back. Twice is fine; never raises."""


class AudioBackend(Protocol):
    """Where devices and streams come from."""

    def devices(self) -> list[Device]:
        """The devices as of the last `refresh`."""

    def refresh(self) -> bool:
        """Look for devices again; returns False, without a look, while a stream is open."""

    def channels_behind(self, device: Device, kind: Kind) -> int | None:
        """How many channels there really are where a device only names as many as it can.

        None: nobody tells. It may open the device for a moment, so no stream may be open on it.
        """

    def open(self, request: StreamRequest) -> DeviceStream:
        """Open a stream.

        Raises:
            DeviceError: it cannot be had as asked.
        """


def find_device(devices: Sequence[Device], query: str | int | None, kind: Kind) -> Device:
    """The one device that ``query`` names: an index, a name or a part of one, in any case.

    A name can be preceded by its host API, or a part of that: ``ALSA:pulse``. The exact name goes
    before a part of one. None is the system's default device.

    Raises:
        DeviceError: there is no such device, several, or it has no channels of this kind.
    """
    usable = [device for device in devices if device.channels(kind)]
    if query is None:
        found = [device for device in usable if getattr(device, f"default_{kind}")]
        asked = f"default {kind} device"
    elif isinstance(query, int) or query.strip().isdecimal():
        found = [device for device in devices if device.index == int(query)]
        asked = f"device with index {query}"
    else:
        found = _by_name(usable, query.strip()) or _by_name(devices, query.strip())
        asked = f"{kind} device named {query!r}"
    if not found:
        raise DeviceError(f"there is no {asked}; {_choice(usable, kind)}")
    if len(found) > 1:
        raise DeviceError(f"there are several for {query!r}; {_choice(found, kind)}")
    if not found[0].channels(kind):
        raise DeviceError(f"{found[0].name!r} has no {kind}; {_choice(usable, kind)}")
    return found[0]


def _by_name(devices: Sequence[Device], query: str) -> list[Device]:
    wanted = query.casefold()
    api, colon, rest = wanted.partition(":")
    names = {device.index: device.name.casefold() for device in devices}
    by_api = [device for device in devices if colon and api in device.hostapi.casefold()]
    return (
        [device for device in devices if names[device.index] == wanted]
        or [device for device in by_api if names[device.index] == rest]
        or [device for device in devices if wanted in names[device.index]]
        or [device for device in by_api if rest and rest in names[device.index]]
    )


def _choice(devices: Sequence[Device], kind: Kind) -> str:
    if not devices:
        return f"this machine has no device with {kind} channels (see `stemstream devices`)"
    named = ", ".join(map(str, devices[:8])) + (", ..." if len(devices) > 8 else "")
    return f"try an index or HOSTAPI:NAME of: {named}"


def check_channels(request: StreamRequest) -> None:
    """Refuse what no opening can bring.

    Raises:
        DeviceError: more channels than the device has, or none.
    """
    for kind, device, channels in request.sides():
        if not 1 <= channels <= device.channels(kind):
            there = counted(device.channels(kind), f"{kind} channel")
            raise DeviceError(
                f"{device.name!r} has {there}, {channels} are wanted; try fewer, or "
                "another device of `stemstream devices`"
            )


def _named(request: StreamRequest) -> str:
    return " and ".join(dict.fromkeys(repr(device.name) for _, device, _ in request.sides()))


def rate_refused(request: StreamRequest) -> DeviceError:
    """The device does not run at the rate."""
    rates = dict.fromkeys(str(device.samplerate) for _, device, _ in request.sides())
    return DeviceError(
        f"samplerate={request.samplerate} must be a rate that {_named(request)} has; "
        f"try {' or '.join(rates)}"
    )


def pair_refused(request: StreamRequest) -> DeviceError:
    """The two devices make no stream together."""
    return DeviceError(
        f"{_named(request)} do not open as one stream; try one device for both, or one stream each"
    )


def is_gone(request: StreamRequest) -> DeviceError:
    """The device was there once."""
    return DeviceError(f"{_named(request)} is gone; plug it in, or see `stemstream devices`")


def is_busy(request: StreamRequest) -> DeviceError:
    """Someone else has the device."""
    return DeviceError(
        f"{_named(request)} is busy; close the program that uses it, or go through a sound server"
    )


def is_unusable(request: StreamRequest, reason: str) -> DeviceError:
    """The device fails for a reason that only the system knows."""
    return DeviceError(f"{_named(request)} cannot be used ({reason}); see `stemstream doctor`")


def without_card(name: str) -> str:
    """Return a device's name without its card's number: ALSA counts cards as they arrive."""
    return _CARD.sub("", name)
