"""What a person can do to a live run, from the keyboard or over the network."""

from __future__ import annotations

from typing import Protocol

from streamer.live.mixing.mixer import Mixer


class Controls(Protocol):
    """A live run as its keys and its remotes see it; they call from threads of their own."""

    @property
    def mixer(self) -> Mixer:
        """The mixer."""

    def load_scene(self, path: str) -> None:
        """Recall another scene; raises SettingsError, and changes nothing, where it is wrong."""

    def quit(self) -> None:
        """End the run."""
