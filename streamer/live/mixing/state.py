"""The values of a mix: immutable, and replaced whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamer.live.mixing.routes import Place, Route
from streamer.pipeline.delay import Fallback


@dataclass(frozen=True, slots=True)
class StemState:
    """A stem's controls. ``gain_db`` is -90 (off) to 12, ``pan`` -1 (left) to 1 (right)."""

    gain_db: float = 0.0
    mute: bool = False
    solo: bool = False
    pan: float = 0.0


@dataclass(frozen=True, slots=True)
class Send:
    """One stem in a listener's mix. ``gain_db`` is -90 (off) to 12."""

    gain_db: float = 0.0
    mute: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """One person's own mix; a stem that ``stems`` does not name is at its default.

    ``output`` is where all stems play for that person; None: the routes that bear the name say it.
    ``gain_db`` is the level of the whole, -90 (off) to 12. The stem ``me`` is ``more_db`` (0 to 12)
    louder than its fader says; "" is nobody.
    """

    output: Place | None = None
    gain_db: float = 0.0
    me: str = ""
    more_db: float = 0.0
    stems: Mapping[str, Send] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MixState:
    """The whole mix at one moment. Every stem is there, in the model's order, for listeners too."""

    stems: Mapping[str, StemState]
    routes: tuple[Route, ...]
    master_db: float = 0.0
    dry: bool = False
    fallback: Fallback = "dry"
    listeners: Mapping[str, Listener] = field(default_factory=dict)

    def heard(self, stem: str) -> bool:
        """Return whether mute and solo let a stem through."""
        controls = self.stems[stem]
        return not controls.mute and (controls.solo or not self.any_solo)

    @property
    def any_solo(self) -> bool:
        """Whether a stem is on solo."""
        return any(controls.solo for controls in self.stems.values())


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole mix to be recalled. Values that it does not name have their defaults.

    Without ``routes`` or ``fallback`` the mixer's first ones are used. The dry switch is not part
    of a scene: recalling one must not end an emergency.
    """

    stems: Mapping[str, StemState] = field(default_factory=dict)
    routes: tuple[Route, ...] | None = None
    master_db: float = 0.0
    fallback: Fallback | None = None
    listeners: Mapping[str, Listener] = field(default_factory=dict)
