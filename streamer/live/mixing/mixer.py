"""The mixer: who hears what, as the matrices of gains that the playback callbacks apply.

::

    mixer = Mixer(["drums", "vocals"], {"PA": 2}, [parse_route("mix-vocals=1,2")])
    mixer.set_gain("vocals", -6)
    port.set_gains(*mixer.matrices("PA"))

Where each control acts:

- gain, mute, solo and pan of a stem act on the routes of that stem. A stem is heard if it is not
  muted, and if it is on solo or no stem is. Mute wins over solo.
- ``mix`` and ``mix-STEM`` are direct feeds: they follow the master gain and the route's own gain,
  so a fader does not leak a stem back into a mix without it.
- the master gain acts on everything.
- ``dry`` is the panic switch: every channel with a route plays the delayed mix, as if it had a
  ``mix`` route, even if everything is muted, on solo or faded down.

All values are in one immutable `MixState` that is replaced whole. A reader in another thread sees
the old or the new one, never half a change. Setting the same value again changes nothing.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from streamer.audio import Samples
from streamer.errors import SettingsError
from streamer.live.mixing.levels import (
    balance,
    checked_gain,
    checked_pan,
    checked_switch,
    linear,
    printable,
)
from streamer.live.mixing.routes import Route, default_routes, minus_stem, parse_route, settle
from streamer.pipeline.delay import Fallback

__all__ = [
    "Matrices",
    "MixState",
    "Mixer",
    "Route",
    "Scene",
    "StemState",
    "parse_route",
]


@dataclass(frozen=True, slots=True)
class StemState:
    """A stem's controls. ``gain_db`` is -90 (off) to 12, ``pan`` -1 (left) to 1 (right)."""

    gain_db: float = 0.0
    mute: bool = False
    solo: bool = False
    pan: float = 0.0


@dataclass(frozen=True, slots=True)
class MixState:
    """The whole mix at one moment. Every stem is there, in the model's order."""

    stems: Mapping[str, StemState]
    routes: tuple[Route, ...]
    master_db: float = 0.0
    dry: bool = False
    fallback: Fallback = "dry"

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


class Matrices(NamedTuple):
    """The gains of a playback port: ``(2 * stems + 2, outputs)`` and ``(2, outputs)``, float32.

    The rows of ``gains`` are stem 0 left, stem 0 right, ..., mix left, mix right. ``dry_gains`` are
    added for the mix wherever stems are missing.
    """

    gains: Samples
    dry_gains: Samples


class Mixer:
    """Gains, mutes, solos, pans and routes of the stems on every output.

    Any thread may call any method.

    Args:
        stems: names, in the model's order.
        ports: output channels by output, the main output first.
        routes: who hears what; none gives `default_routes`.
        fallback: what plays if stems are missing: the dry signal or silence.
        on_change: called with each new state, one call at a time, in the thread that made the
            change; it must not change the mixer.

    Raises:
        SettingsError: a route does not fit.
    """

    def __init__(
        self,
        stems: Sequence[str],
        ports: Mapping[str, int],
        routes: Iterable[Route] = (),
        *,
        fallback: Fallback = "dry",
        on_change: Callable[[MixState], None] | None = None,
    ) -> None:
        self.stems = tuple(stems)
        self.ports = dict(ports)
        settled = settle(routes, self.stems, self.ports)
        self._began = MixState(
            stems=dict.fromkeys(self.stems, StemState()),
            routes=settled or default_routes(self.stems, self.ports),
            fallback=fallback,
        )
        self._state = self._began
        self._on_change = on_change
        self._writing = threading.Lock()

    @property
    def state(self) -> MixState:
        """The present mix."""
        return self._state

    def set_gain(self, stem: str, gain_db: object) -> None:
        """Set a stem's gain in dB."""
        self._set_stem(stem, gain_db=checked_gain(f"{printable(stem)}.gain_db", gain_db))

    def set_mute(self, stem: str, on: object) -> None:
        """Mute a stem, or not."""
        self._set_stem(stem, mute=checked_switch(f"{printable(stem)}.mute", on))

    def set_solo(self, stem: str, on: object) -> None:
        """Mute all stems that are not on solo, or not."""
        self._set_stem(stem, solo=checked_switch(f"{printable(stem)}.solo", on))

    def set_pan(self, stem: str, pan: object) -> None:
        """Set a stem's balance."""
        self._set_stem(stem, pan=checked_pan(f"{printable(stem)}.pan", pan))

    def set_master(self, gain_db: object) -> None:
        """Set the gain of everything, in dB."""
        checked = checked_gain("master_db", gain_db)
        self._change(lambda state: replace(state, master_db=checked))

    def set_dry(self, on: object) -> None:
        """Play the delayed mix instead of the stems, or not."""
        checked = checked_switch("dry", on)
        self._change(lambda state: replace(state, dry=checked))

    def apply(self, scene: Scene) -> None:
        """Recall a scene as a whole; if it does not fit, nothing changes.

        Raises:
            SettingsError: it names a stem, output or channel that does not exist.
        """
        for stem in scene.stems:
            self._check_stem(stem)
        routes = self._began.routes
        if scene.routes is not None:
            routes = settle(scene.routes, self.stems, self.ports)
        recalled = replace(
            self._began,
            stems={**self._began.stems, **scene.stems},
            routes=routes,
            master_db=scene.master_db,
            fallback=scene.fallback or self._began.fallback,
        )
        self._change(lambda state: replace(recalled, dry=state.dry))

    def scene(self) -> Scene:
        """Return the present mix as a scene, to be saved."""
        state = self._state
        return Scene(state.stems, state.routes, state.master_db, state.fallback)

    def matrices(self, port: str) -> Matrices:
        """Return the present gains of one output."""
        return matrices(self._state, port, self.ports[port])

    def _set_stem(self, stem: str, **controls: Any) -> None:
        self._check_stem(stem)
        self._change(
            lambda state: replace(
                state, stems={**state.stems, stem: replace(state.stems[stem], **controls)}
            )
        )

    def _check_stem(self, stem: str) -> None:
        if stem not in self.stems:
            close = difflib.get_close_matches(stem, self.stems, n=1)
            way_out = f"try {close[0]}" if close else f"it has {', '.join(self.stems)}"
            raise SettingsError(f"the model has no stem {printable(stem)}; {way_out}")

    def _change(self, made_from: Callable[[MixState], MixState]) -> None:
        with self._writing:
            state = made_from(self._state)
            if state == self._state:
                return
            self._state = state
            if self._on_change:
                self._on_change(state)


def matrices(state: MixState, port: str, outputs: int) -> Matrices:
    """Return the gains of one output of ``outputs`` channels."""
    stems = list(state.stems)
    gains = np.zeros((2 * len(stems) + 2, outputs))
    minus = np.zeros((2, outputs))
    routed = np.zeros((2, outputs))
    has_mix = np.zeros(outputs, bool)
    for route in state.routes:
        if route.port != port:
            continue
        cells = _cells(route, outputs) * linear(state.master_db) * linear(route.gain_db)
        routed = np.maximum(routed, cells)
        if route.source in stems:
            controls = state.stems[route.source]
            level = linear(controls.gain_db) * state.heard(route.source)
            gains[_rows(stems, route.source)] += cells * level * balance(controls.pan)[:, None]
            continue
        has_mix[[channel - 1 for channel in route.channels]] = True
        gains[-2:] += cells
        left_out = minus_stem(route.source, stems)
        if left_out is not None:
            gains[_rows(stems, left_out)] -= cells
            minus += cells
    if state.dry:
        # no control of a stem counts; if a channel has several routes, the loudest one counts
        gains = np.concatenate([np.zeros_like(gains[:-2]), routed])
        dry = np.zeros_like(routed)
    elif state.fallback == "silence":
        # without its stem a mix-STEM cannot be made: it goes silent too, its own gain is taken back
        dry = 0 - minus
    else:
        # the loudest stem's gain stands in for all; where the mix plays anyway, nothing is missing
        dry = np.where(has_mix, 0, gains[:-2].reshape(len(stems), 2, outputs).max(0))
    return Matrices(gains.astype(np.float32), dry.astype(np.float32))


def _cells(route: Route, outputs: int) -> npt.NDArray[np.float64]:
    """Return the factors of a route's left and right on each output: ``(2, outputs)``."""
    cells = np.zeros((2, outputs))
    if len(route.channels) == 1:
        cells[:, route.channels[0] - 1] = 0.5
    else:
        cells[[0, 1], [channel - 1 for channel in route.channels]] = 1.0
    return cells


def _rows(stems: Sequence[str], stem: str) -> slice:
    first = 2 * stems.index(stem)
    return slice(first, first + 2)
