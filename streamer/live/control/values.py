"""Every value that remotes can read and set, by its address: the control tree.

::

    /stem/NAME/gain DB        /stem/NAME/mute 0|1      /stem/NAME/solo 0|1     /stem/NAME/pan -1..1
    /master/gain DB           /dry 0|1                 /record 0|1             /scene/recall NAME
    /listener/NAME/gain DB    /listener/NAME/me STEM   /listener/NAME/more DB
    /listener/NAME/stem/STEM/gain DB                   /listener/NAME/stem/STEM/mute 0|1
    /transport/play 0|1       /transport/position SECONDS      where a file is played

Keys, OSC, MIDI and the page act on these and on nothing else. Which listeners there are, a scene
says: the tree is made for one `MixState`, and again where another has other listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from streamer.live.control.controls import Controls, Transport
from streamer.live.mixing.levels import checked_switch
from streamer.live.mixing.state import MixState
from streamer.live.status import Status

Kind: TypeAlias = Literal["gain", "more", "pan", "switch", "seconds", "name"]
"""What a value is: how a knob moves it, or that none can."""
Reading: TypeAlias = float | str
"""A switch reads as 1 or 0: faders and lamps take numbers, few take the true and false of OSC."""


@dataclass(frozen=True)
class Value:
    """One value that can be read and set.

    ``write`` checks what it is given, and raises a StemstreamError with one sentence if it is
    wrong; then nothing has changed.
    """

    kind: Kind
    read: Callable[[MixState], Reading]
    write: Callable[[Any], None]


class ControlTree:
    """The values of a run.

    Args:
        controls: what they act on.
        status: gives a look at the run.
    """

    def __init__(self, controls: Controls, status: Callable[[], Status]) -> None:
        self._controls, self._status = controls, status
        self._listeners: tuple[str, ...] | None = None
        self._values: Mapping[str, Value] = {}

    def values(self, state: MixState | None = None) -> Mapping[str, Value]:
        """Return all values by address, as they are in a state: by default in the present one."""
        listeners = tuple((state or self._controls.mixer.state).listeners)
        if listeners != self._listeners:
            self._values = dict(self._all(listeners))
            self._listeners = listeners
        return self._values

    def look(self, address: str) -> tuple[Kind, Reading] | None:
        """Return the kind of a value and what it is now; None: there is no such value."""
        state = self._controls.mixer.state
        value = self.values(state).get(address)
        return None if value is None else (value.kind, value.read(state))

    def readings(self) -> dict[str, Reading]:
        """Return what all values are now, by address."""
        state = self._controls.mixer.state
        return {address: value.read(state) for address, value in self.values(state).items()}

    def _all(self, listeners: Sequence[str]) -> Iterator[tuple[str, Value]]:
        controls = self._controls
        mixer, scenes, recorder = controls.mixer, controls.scenes, controls.recorder
        for stem in mixer.stems:
            yield from self._stem(stem)
        yield "/master/gain", Value("gain", lambda state: state.master_db, mixer.set_master)
        yield "/dry", Value("switch", lambda state: int(state.dry), mixer.set_dry)
        for listener in listeners:
            yield from self._listener(listener)
        yield "/record", Value("switch", lambda _: int(recorder.on), recorder.switch)
        yield "/scene/recall", Value("name", lambda _: scenes.current, scenes.recall)
        if controls.transport is not None:
            yield from self._transport(controls.transport)

    def _stem(self, stem: str) -> Iterator[tuple[str, Value]]:
        mixer = self._controls.mixer
        writes: tuple[tuple[str, str, Kind, Callable[[str, object], None]], ...] = (
            ("gain", "gain_db", "gain", mixer.set_gain),
            ("mute", "mute", "switch", mixer.set_mute),
            ("solo", "solo", "switch", mixer.set_solo),
            ("pan", "pan", "pan", mixer.set_pan),
        )
        for name, field, kind, write in writes:
            read = partial(_stem_reading, stem, field)
            yield f"/stem/{stem}/{name}", Value(kind, read, partial(write, stem))

    def _listener(self, name: str) -> Iterator[tuple[str, Value]]:
        mixer = self._controls.mixer
        place = f"/listener/{name}"

        def value(kind: Kind, field: str) -> Value:
            read = partial(_listener_reading, name, field)
            return Value(kind, read, lambda one: mixer.set_listener(name, **{field: one}))

        def send(kind: Kind, stem: str, field: str) -> Value:
            read = partial(_send_reading, name, stem, field)
            return Value(kind, read, lambda one: mixer.set_send(name, stem, **{field: one}))

        yield f"{place}/gain", value("gain", "gain_db")
        yield f"{place}/more", value("more", "more_db")
        yield f"{place}/me", value("name", "me")
        for stem in mixer.stems:
            yield f"{place}/stem/{stem}/gain", send("gain", stem, "gain_db")
            yield f"{place}/stem/{stem}/mute", send("switch", stem, "mute")

    def _transport(self, transport: Transport) -> Iterator[tuple[str, Value]]:
        def play(on: object) -> None:
            transport.set_playing(checked_switch("play", on))

        yield "/transport/play", Value("switch", lambda _: int(transport.playing), play)
        yield (
            "/transport/position",
            Value("seconds", lambda _: self._status().song_seconds or 0.0, transport.seek),
        )


def _stem_reading(stem: str, field: str, state: MixState) -> Reading:
    return _number(getattr(state.stems[stem], field))


def _listener_reading(listener: str, field: str, state: MixState) -> Reading:
    reading: Reading = getattr(state.listeners[listener], field)
    return reading


def _send_reading(listener: str, stem: str, field: str, state: MixState) -> Reading:
    return _number(getattr(state.listeners[listener].stems[stem], field))


def _number(value: float) -> float:
    return int(value) if isinstance(value, bool) else value
