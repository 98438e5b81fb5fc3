"""Controls that remember, in place of a live run: a `streamer.live.control.controls.Controls`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamer.live.control.apart import Apart
from streamer.live.mixing.levels import checked_switch
from streamer.live.mixing.mixer import Mixer
from streamer.live.mixing.routes import Place, parse_route
from streamer.live.mixing.scene_folder import SceneFolder
from streamer.live.mixing.state import Listener, Scene

STEMS = ("drums", "bass", "other", "vocals")
DRUMMER = Listener(Place((3, 4)), me="drums")
"""A listener for `Desk`: all stems on 3,4."""


class Switch:
    """A recording, or the transport of a song of ``length`` seconds."""

    def __init__(self, *, on: bool = False) -> None:
        self.on = self.playing = on
        self.position = 0.0

    def switch(self, on: object) -> None:
        self.on = checked_switch("record", on)

    def set_playing(self, on: bool) -> None:
        self.playing = on

    def seek(self, seconds: object) -> None:
        assert isinstance(seconds, int | float)
        self.position = float(seconds)


class Desk:
    """A mixer of eight channels, with the listeners that are given; a song, if it has one."""

    def __init__(
        self,
        folder: Path,
        *,
        stems: Sequence[str] = STEMS,
        listeners: dict[str, Listener] | None = None,
        song: bool = False,
    ) -> None:
        self.mixer = Mixer(stems, {"PA": 8}, [parse_route("mix=7,8")])
        self.mixer.apply(Scene(listeners=listeners or {}))
        self.scenes = SceneFolder(folder, self.mixer)
        self.recorder = Switch()
        self.apart = Apart()
        self.transport = Switch(on=True) if song else None
        self.ended = 0
        self.learned: list[str] = []

    def load_scene(self, path: str) -> None:
        self.scenes.load(path)

    def learn(self, address: str) -> None:
        self.learned.append(address)

    def quit(self) -> None:
        self.ended += 1
