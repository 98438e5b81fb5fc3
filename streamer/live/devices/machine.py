"""All sound devices of this machine: PortAudio's, and JACK by a client of our own.

Where JACK alone is named, PortAudio is not even loaded.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from streamer.errors import DeviceError
from streamer.live.devices.device import AudioBackend, Device, DeviceStream, Kind, StreamRequest
from streamer.live.devices.jack import CLIENT_NAME, HOST_API, NAME, JackBackend
from streamer.live.devices.portaudio import PortAudioBackend
from streamer.live.settings import LiveSettings

_JACK_NAMES: Final = (NAME, f"{HOST_API}:{NAME}".casefold())


def backend_for(settings: LiveSettings) -> AudioBackend:
    """Return the backend that has the devices which are named.

    JACK alone, where nothing else is named: then it is also what is not named. Without it
    PortAudio alone; a number can be any of both.

    Raises:
        DeviceError: JACK is named and does not run, or PortAudio is not installed.
    """
    wanted = list(settings.output)
    if settings.input is not None and not Path(settings.input).is_file():
        wanted.append(settings.input)
    named = [name.strip().casefold() for name in wanted]
    jack = [name in _JACK_NAMES for name in named]
    if any(jack):
        own = JackBackend(settings.jack_name, connect=settings.connect)
        return own if all(jack) else MachineBackend(own)
    portaudio = PortAudioBackend()
    if not any(name.isdecimal() for name in named):
        return portaudio
    return MachineBackend(jack_if_it_runs(settings.jack_name, connect=settings.connect))


def jack_if_it_runs(name: str = CLIENT_NAME, *, connect: bool = True) -> JackBackend | None:
    """Return JACK, or None where it does not run."""
    with suppress(DeviceError):
        return JackBackend(name, connect=connect)
    return None


class MachineBackend:
    """PortAudio's devices, and then JACK where it runs. See `AudioBackend`.

    Raises:
        DeviceError: PortAudio is not installed, or does not start.
    """

    def __init__(self, jack: JackBackend | None) -> None:
        self._portaudio, self._jack = PortAudioBackend(), jack

    def devices(self) -> list[Device]:
        """The devices as of the last `refresh`."""
        # ALSA's plugin of this name is a worse way to the same server
        found = [
            one
            for one in self._portaudio.devices()
            if self._jack is None or not (one.name == NAME and one.through_plugin)
        ]
        after = max((one.index for one in found), default=-1) + 1
        jack = self._jack.devices() if self._jack is not None else []
        own = [
            replace(one, index=after, default_input=not found, default_output=not found)
            for one in jack
        ]
        return [*found, *own]

    def refresh(self) -> bool:
        """Look for devices again; returns False, without a look, while a stream is open.

        Raises:
            DeviceError: the sound server does not answer.
        """
        jack = self._jack is None or self._jack.refresh()
        return self._portaudio.refresh() and jack

    def _home(self, device: Device) -> AudioBackend:
        if self._jack is not None and device.hostapi == HOST_API:
            return self._jack
        return self._portaudio

    def channels_behind(self, device: Device, kind: Kind) -> int | None:
        """Ask where the device is from. See `AudioBackend`.

        Raises:
            DeviceError: the sound server does not answer.
        """
        return self._home(device).channels_behind(device, kind)

    def open(self, request: StreamRequest) -> DeviceStream:
        """Open a stream.

        Raises:
            DeviceError: it cannot be had as asked.
        """
        _, device, _ = next(request.sides())
        return self._home(device).open(request)
