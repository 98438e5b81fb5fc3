"""A song's stems while it plays: a streaming engine for Demucs models.

::

    import streamer

    for stems in streamer.stream("song.flac", model="htdemucs_mini"):
        stems["vocals"]                                # (frames, channels), float32
    streamer.separate("song.flac", out="separated")    # the same, to files
    p = streamer.Processor(model="htdemucs_mini")      # blocks in, blocks out
    streamer.open_session(streamer.LiveSettings(), devices)   # live, on sound devices

These are the public names. Each is loaded when it is first used. So importing the package takes no
time, and loads neither torch nor a sound library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.audio import Samples, Stems
    from streamer.engine import TrackReport, separate, stream
    from streamer.errors import (
        DeviceError,
        ModelError,
        OutputExistsError,
        SettingsError,
        SinkError,
        SourceError,
        StemstreamError,
        WeightsError,
    )
    from streamer.live.session import open_session
    from streamer.live.settings import LiveSettings
    from streamer.models import load
    from streamer.processor import Live, Processor
    from streamer.settings import Settings

__version__ = "0.2.0"

_HOMES = {
    "streamer.audio": ("Samples", "Stems"),
    "streamer.engine": ("TrackReport", "separate", "stream"),
    "streamer.errors": (
        "DeviceError",
        "ModelError",
        "OutputExistsError",
        "SettingsError",
        "SinkError",
        "SourceError",
        "StemstreamError",
        "WeightsError",
    ),
    "streamer.live.session": ("open_session",),
    "streamer.live.settings": ("LiveSettings",),
    "streamer.models": ("load",),
    "streamer.processor": ("Live", "Processor"),
    "streamer.settings": ("Settings",),
}

__all__ = [
    "DeviceError",
    "Live",
    "LiveSettings",
    "ModelError",
    "OutputExistsError",
    "Processor",
    "Samples",
    "Settings",
    "SettingsError",
    "SinkError",
    "SourceError",
    "Stems",
    "StemstreamError",
    "TrackReport",
    "WeightsError",
    "__version__",
    "load",
    "open_session",
    "separate",
    "stream",
]


def __getattr__(name: str) -> object:
    for home, members in _HOMES.items():
        if name in members:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
