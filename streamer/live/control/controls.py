"""The controls of a live run, for keys, OSC, MIDI and the page: what a remote can reach at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streamer.live.control.apart import Apart
from streamer.live.mixing.mixer import Mixer


class Scenes(Protocol):
    """The scenes of one folder, by name. No name is a path."""

    @property
    def names(self) -> Sequence[str]:
        """The scenes that there are."""

    @property
    def current(self) -> str:
        """The one that was recalled or saved last; "" is none."""

    def recall(self, name: object) -> None:
        """Recall a scene; if that cannot be, raise SettingsError and change nothing."""

    def save(self, name: object) -> None:
        """Save the present mix; raise SettingsError or SinkError if that cannot be."""

    def rename(self, old: object, new: object) -> None:
        """Give a scene another name; raise SettingsError or SinkError if that cannot be."""


class Recorder(Protocol):
    """The recording of the stems, a new take for each start."""

    @property
    def on(self) -> bool:
        """Whether it records."""

    def switch(self, on: object) -> None:
        """Begin a take, or end it; raise SettingsError or SinkError if that cannot be."""


class Transport(Protocol):
    """A file that is played."""

    @property
    def playing(self) -> bool:
        """Whether it goes on, or holds its position."""

    def set_playing(self, on: bool) -> None:
        """Go on, or hold the position."""

    def seek(self, seconds: object) -> None:
        """Go to a second of the song; raise SettingsError if it has no such."""


class Controls(Protocol):
    """A live run as keys and remotes see it; they call from their own threads."""

    @property
    def mixer(self) -> Mixer:
        """The mixer."""

    @property
    def scenes(self) -> Scenes:
        """The scenes by name."""

    @property
    def recorder(self) -> Recorder:
        """The recording."""

    @property
    def apart(self) -> Apart:
        """The threads that wait for disks, one order for all remotes."""

    @property
    def transport(self) -> Transport | None:
        """The file that is played; None where a device is taken in."""

    def load_scene(self, path: str) -> None:
        """Recall another scene; if it is wrong, raise SettingsError and change nothing."""

    def learn(self, address: str) -> None:
        """Let a MIDI controller learn: the control that is moved next moves this address."""

    def quit(self) -> None:
        """End the run."""
