"""The controls of a live run, for the keyboard and the network."""

from __future__ import annotations

from typing import Protocol

from streamer.live.mixing.mixer import Mixer


class Controls(Protocol):
    """A live run as keys and remotes see it; they call from their own threads."""

    @property
    def mixer(self) -> Mixer:
        """The mixer."""

    def load_scene(self, path: str) -> None:
        """Recall another scene; if it is wrong, raise SettingsError and change nothing."""

    def quit(self) -> None:
        """End the run."""
