"""The mixer: who hears what, as the matrices of gains that the playback callbacks apply.

::

    mixer = Mixer(["drums", "vocals"], {"PA": 2}, [parse_route("mix-vocals=1,2")])
    mixer.set_gain("vocals", -6)
    port.set_gains(*mixer.matrices("PA"))

Where each control acts:

- gain, mute, solo and pan of a stem act on the routes of that stem, but not on a listener's. A
  stem is heard if it is not muted, and if it is on solo or no stem is. Mute wins over solo.
- a listener's gains and mutes act on that listener's routes and on nobody else's: as a desk's sends
  before its faders. "more" makes the stem that is "me" louder than its fader says.
- ``mix`` and ``mix-STEM`` are direct feeds: they follow the master gain and the route's own gain,
  and a listener's level, so a fader does not leak a stem back into a mix without it.
- the master gain acts on everything.
- ``dry`` is the panic switch: every channel with a route plays the delayed mix, as if it had a
  ``mix`` route, even if everything is muted, on solo or faded down.

All values are in one immutable `MixState` that is replaced whole. A reader in another thread sees
the old or the new one, never half a change. Setting the same value again changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from streamer.errors import SettingsError
from streamer.live.mixing.levels import (
    checked_gain,
    checked_me,
    checked_more,
    checked_pan,
    checked_switch,
    printable,
)
from streamer.live.mixing.matrices import Matrices, matrices
from streamer.live.mixing.routes import Route, default_routes, settle
from streamer.live.mixing.state import Listener, MixState, Scene, Send, StemState
from streamer.pipeline.delay import Fallback
from streamer.words import nearest

_LISTENER: Mapping[str, Callable[[str, object], Any]] = {
    "gain_db": checked_gain,
    "me": checked_me,
    "more_db": checked_more,
}
_SEND: Mapping[str, Callable[[str, object], Any]] = {
    "gain_db": checked_gain,
    "mute": checked_switch,
}


class Mixer:
    """Gains, mutes, solos, pans and routes of the stems on every output.

    Any thread may call any method.

    Args:
        stems: names, in the model's order.
        ports: output channels by output, the main output first.
        routes: who hears what; none gives `default_routes`.
        fallback: what plays if stems are missing: the dry signal or silence.
        with_mix: outputs that have all stems on 1,2 and a pair for each, where there are no routes.
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
        with_mix: Collection[str] = (),
        on_change: Callable[[MixState], None] | None = None,
    ) -> None:
        self.stems = tuple(stems)
        self.ports = dict(ports)
        self._given = settle(routes, self.stems, self.ports)
        self._fallback, self._with_mix = fallback, with_mix
        self._state = self._recalled(Scene())
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

    def set_listener(self, listener: str, **values: object) -> None:
        """Set a listener's ``gain_db``, ``me`` (a stem, or "" for nobody) or ``more_db``.

        Raises:
            SettingsError: there is no such listener, or a value is wrong.
        """
        name = f"listeners.{printable(listener)}"
        checked = {key: _LISTENER[key](f"{name}.{key}", one) for key, one in values.items()}
        if me := checked.get("me"):
            self._check_stem(me)
        self._change_listener(listener, lambda now: replace(now, **checked))

    def set_send(self, listener: str, stem: str, **values: object) -> None:
        """Set ``gain_db`` or ``mute`` of a stem in a listener's mix.

        Raises:
            SettingsError: there is no such listener or stem, or a value is wrong.
        """
        name = f"listeners.{printable(listener)}.{printable(stem)}"
        checked: dict[str, Any] = {
            key: _SEND[key](f"{name}.{key}", one) for key, one in values.items()
        }
        self._check_stem(stem)
        self._change_listener(
            listener,
            lambda now: replace(
                now, stems={**now.stems, stem: replace(now.stems[stem], **checked)}
            ),
        )

    def apply(self, scene: Scene) -> None:
        """Recall a scene as a whole; if it does not fit, nothing changes.

        Raises:
            SettingsError: it names a stem, output or channel that does not exist.
        """
        recalled = self._recalled(scene)
        self._change(lambda state: replace(recalled, dry=state.dry))

    def scene(self) -> Scene:
        """Return the present mix as a scene, to be saved.

        The first output's name is left out, so the scene fits where another one is in its place.
        """
        state, first = self._state, next(iter(self.ports))
        own = self._own_routes(state.listeners)  # a recall makes them again
        routes = tuple(
            replace(route, port="") if route.port == first else route
            for route in state.routes
            if route not in own
        )
        return Scene(state.stems, routes, state.master_db, state.fallback, state.listeners)

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

    def _change_listener(self, listener: str, made_from: Callable[[Listener], Listener]) -> None:
        def changed(state: MixState) -> MixState:
            if listener not in state.listeners:
                raise _missing("the scene has no listener", listener, state.listeners)
            one = made_from(state.listeners[listener])
            return replace(state, listeners={**state.listeners, listener: one})

        self._change(changed)

    def _recalled(self, scene: Scene) -> MixState:
        """Return a scene as a state of this mixer."""
        for stem in scene.stems:
            self._check_stem(stem)
        listeners = {name: self._whole(one) for name, one in scene.listeners.items()}
        own = self._own_routes(listeners)
        desk = self._given if scene.routes is None else self._settled(scene.routes)
        if scene.routes is None and not desk:
            desk = default_routes(self.stems, self.ports, own, self._with_mix)
        routes = self._settled((*desk, *own))
        for name in listeners.keys() - {route.listener for route in routes}:
            raise SettingsError(
                f'listener {printable(name)} plays nowhere; give it output = "3,4", or routes '
                "of its name in [routes]"
            )
        return MixState(
            stems={**dict.fromkeys(self.stems, StemState()), **scene.stems},
            routes=routes,
            master_db=scene.master_db,
            fallback=scene.fallback or self._fallback,
            listeners=listeners,
        )

    def _own_routes(self, listeners: Mapping[str, Listener]) -> tuple[Route, ...]:
        """Return the routes of those who have an output: all stems to it."""
        return self._settled(
            Route(stem, one.output.channels, one.output.port, listener=name)
            for name, one in listeners.items()
            if one.output is not None
            for stem in self.stems
        )

    def _settled(self, routes: Iterable[Route]) -> tuple[Route, ...]:
        return settle(routes, self.stems, self.ports)

    def _whole(self, listener: Listener) -> Listener:
        """Return a listener with every stem."""
        for stem in (*listener.stems, *filter(None, [listener.me])):
            self._check_stem(stem)
        return replace(listener, stems={**dict.fromkeys(self.stems, Send()), **listener.stems})

    def _check_stem(self, stem: str) -> None:
        if stem not in self.stems:
            raise _missing("the model has no stem", stem, self.stems)

    def _change(self, made_from: Callable[[MixState], MixState]) -> None:
        with self._writing:
            state = made_from(self._state)
            if state == self._state:
                return
            self._state = state
            if self._on_change:
                self._on_change(state)


def _missing(what: str, name: str, known: Collection[str]) -> SettingsError:
    there_are = f"it has {', '.join(known)}" if known else "give it one first"
    return SettingsError(f"{what} {printable(name)}; {nearest(name, known, there_are)}")
