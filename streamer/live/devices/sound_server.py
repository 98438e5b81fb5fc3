"""A sound server, PulseAudio or PipeWire in its place, and the streams of this process on it.

PortAudio reaches the server through ALSA's plugin. The plugin tells neither how many channels are
behind it, nor where a stream was moved to. The server's own program `pactl` tells both. If it is
not installed, or older than 16, nothing is known.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Final

from streamer.errors import DeviceError
from streamer.live.devices.device import Kind

PATIENCE_SECONDS: Final = 2.0

# pactl's names for the streams, and for the places that they play on or record from
_STREAMS: Final[dict[Kind, str]] = {"output": "sink-inputs", "input": "source-outputs"}
_PLACES: Final[dict[Kind, str]] = {"output": "sinks", "input": "sources"}


@dataclass(frozen=True, slots=True)
class ServerStream:
    """A stream of this process; ``place`` is its sink or source, ``channels`` are of that place."""

    kind: Kind
    index: int
    place: str
    channels: int


def running_server() -> str:
    """Return the name and the version of the server that runs.

    Raises:
        DeviceError: none answers, or `pactl` is not installed.
    """
    if sys.platform == "darwin":
        return "Core Audio"
    if shutil.which("pactl") is None:
        raise DeviceError("pactl is not installed; try apt install pulseaudio-utils")
    told = _asked("info")
    if not isinstance(told, dict):
        raise DeviceError("none answers; start PipeWire with pipewire-pulse, or PulseAudio")
    of_pipewire = re.search(r"PipeWire [0-9.]+", str(told.get("server_name")))
    return of_pipewire[0] if of_pipewire else f"PulseAudio {told.get('server_version')}"


def own_streams(kind: Kind) -> list[ServerStream]:
    """Return this process's streams of a kind, the newest last; empty if nothing is known."""
    own = [one for one in _listed(_STREAMS[kind]) if _owner(one) == str(os.getpid())]
    if not own:
        return []
    places = {place.get("index"): place for place in _listed(_PLACES[kind])}
    found = []
    for one in sorted(own, key=lambda stream: int(stream["index"])):
        place = places.get(one.get(_PLACES[kind].removesuffix("s")), {})
        channels = re.search(r"\b([0-9]{1,4})ch\b", str(place.get("sample_specification")))
        if channels is not None:
            found.append(ServerStream(kind, one["index"], str(place.get("name")), int(channels[1])))
    return found


def _owner(stream: dict[str, Any]) -> object:
    return stream.get("properties", {}).get("application.process.id")


def _listed(what: str) -> list[dict[str, Any]]:
    told = _asked("list", what)
    return [one for one in told if "index" in one] if isinstance(told, list) else []


def _asked(*words: str) -> Any:
    """Return what `pactl` answers; None if it does not."""
    try:
        answer = subprocess.run(  # noqa: S603 (nothing in it comes from outside)
            ("pactl", "--format=json", *words),  # noqa: S607 (wherever the system has it)
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_SECONDS,
            check=True,
        )
        return json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
