"""A controller's surface: moves in, values changed; lamps out. Pure: no port, no thread, no clock.

Whoever changes a value, its lamp follows with the next look (`news`), and its knob has to take it
over anew (`takeover`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from streamer.errors import SettingsError, StemstreamError
from streamer.live.control.midi.control import Control, steps
from streamer.live.control.midi.controller_map import ControllerMap, resolved
from streamer.live.control.midi.learning import Learning
from streamer.live.control.midi.scale import Scale, scale_of
from streamer.live.control.midi.signals import FINE_OFFSET, FULL, Event, Signal, write
from streamer.live.mixing.levels import printable

_MOST_TOLD: Final = 32

Act = Callable[[str, tuple[Any, ...]], object]
"""Obeys an address with its arguments; raises StemstreamError where it cannot."""


class Surface:
    """Moves the values of a run as a map says.

    Args:
        act: changes a value.
        values: returns all values that can be set, by address.
        controller: which control moves what.
        tell: called with a sentence that a person should know.
        keep: called with the map after a control was learned.
    """

    def __init__(
        self,
        act: Act,
        values: Callable[[], Mapping[str, Any]],
        controller: ControllerMap,
        *,
        tell: Callable[[str], None],
        keep: Callable[[ControllerMap], None],
    ) -> None:
        self._act, self._values = act, values
        self._tell, self._keep = tell, keep
        self._told: set[str] = set()
        self._map = controller
        self._known: tuple[str, ...] = ()
        self._controls: dict[Signal, Control] = {}
        self._learning: Learning | None = None
        self._wire(tuple(values()))

    def learn(self, address: str) -> None:
        """Let the next control that is moved move this address. From any thread.

        Raises:
            SettingsError: there is no such address.
        """
        known = self._values()
        if address not in known:
            close = difflib.get_close_matches(address, known, n=1)
            way_out = f"try {close[0]}" if close else f"try one like {next(iter(known))}"
            raise SettingsError(f"{printable(address)} is no value to learn; {way_out}")
        self._learning = Learning(address)

    def stop_learning(self) -> None:
        """Learn nothing. From any thread."""
        self._learning = None

    def begin(self) -> None:
        """Forget where the controls are: the controller has just come."""
        self._controls.clear()
        self._wire(self._known)

    def receive(self, event: Event) -> None:
        """Do what a move says. Never raises."""
        learning = self._learning
        if learning is not None:
            if learning.feed(event):
                self._learning = None
                self._learned(event.signal, learning.address)
            return
        control = self._controls.get(event.signal)
        if control is None:
            self._second_byte(event)
            return
        try:
            self._moved(control, event)
        except StemstreamError as error:
            self._tell_once(f"MIDI: {error}")
        except Exception as error:  # the controller outlives a mistake of ours
            self._tell_once(f"MIDI: {control.address}: {error!r}; please report it")

    def news(self) -> Iterator[bytes]:
        """Yield the messages for lamps and motors that are not as their values are."""
        values = self._values()
        if tuple(values) != self._known:  # a scene may bring listeners
            self._wire(tuple(values))
        for control in self._controls.values():
            message = control.shows(values.get(control.address))
            if message is not None:
                yield message

    def dark(self) -> Iterator[bytes]:
        """Yield the messages that put the lamps out, at the end."""
        for control in self._controls.values():
            if control.binding.lamp is not None:
                yield write(control.signal, control.binding.lamp[1])

    def _wire(self, known: tuple[str, ...]) -> None:
        """Find the address of each control; those that go on as before keep what they know."""
        before, self._known, self._controls = self._controls, known, {}
        for signal, binding in self._map.controls.items():
            address = resolved(binding.to, known)
            if address is None:
                continue
            control = before.get(signal)
            if control is None or (control.address, control.binding) != (address, binding):
                control = Control(signal, address, binding)
            self._controls[signal] = control

    def _learned(self, signal: Signal, address: str) -> None:
        self._map = self._map.learned(signal, address, self._known)
        self._wire(self._known)
        self._tell(f"MIDI: {signal} moves {address} from now on")
        self._keep(self._map)

    def _moved(self, control: Control, event: Event) -> None:
        binding, present = control.binding, self._values().get(control.address)
        scale = scale_of(control.address)
        if scale is None or present is None or binding.value is not None:
            self._pressed(control, event, present)
        elif binding.turn != "absolute":
            place = scale.place(present) + steps(binding.turn, event.value) / FULL
            self._set(control, scale.value(scale.settled(min(max(place, 0), 1), FULL)))
        elif binding.fine:
            control.hold(event.value)
        else:
            self._turned(control, scale, event)

    def _second_byte(self, event: Event) -> None:
        """Put the two halves of a fine control change together."""
        signal = event.signal
        first = Signal("cc", signal.number - FINE_OFFSET, signal.channel)
        control = self._controls.get(first)
        if signal.kind != "cc" or control is None or not control.binding.fine:
            return
        scale = scale_of(control.address)
        if scale is not None:
            self._turned(control, scale, control.whole(event.value))

    def _turned(self, control: Control, scale: Scale, event: Event) -> None:
        present = scale.place(self._values()[control.address])
        place = scale.settled(event.place, event.full)
        if control.takeover.takes(place, present):
            self._set(control, scale.value(place))
            control.takeover.gave(scale.place(self._values()[control.address]))

    def _pressed(self, control: Control, event: Event, present: object) -> None:
        if not control.press(event):
            return
        down, binding = event.pressed, control.binding
        if binding.press == "held" and binding.value is None and present is not None:
            self._set(control, int(down))
        elif down and binding.value is not None:
            self._set(control, binding.value)
        elif down:
            self._act(control.address, () if present is None else (int(not present),))

    def _set(self, control: Control, value: object) -> None:
        self._act(control.address, (value,))

    def _tell_once(self, sentence: str) -> None:
        if sentence not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(sentence)
            self._tell(sentence)
