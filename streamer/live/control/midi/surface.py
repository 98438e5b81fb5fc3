"""A controller's surface: moves in, values changed; lamps out. Pure: no port, no thread, no clock.

Whoever changes a value, its lamp follows with the next look (`news`), and its knob has to take it
over again (`takeover`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from streamer.errors import SettingsError, StemstreamError
from streamer.live.control.midi.control import Control, steps
from streamer.live.control.midi.controller_map import ControllerMap, resolved
from streamer.live.control.midi.learning import Learning
from streamer.live.control.midi.scale import SCALES, Scale
from streamer.live.control.midi.signals import FINE_OFFSET, FULL, Event, Signal
from streamer.live.control.values import Kind, Reading
from streamer.live.mixing.levels import printable
from streamer.words import nearest

_MOST_TOLD: Final = 32

Act = Callable[[str, tuple[Any, ...]], object]
"""Obeys an address with its arguments; raises StemstreamError where it cannot."""


class Tree(Protocol):
    """The values of a run: `live.control.values.ControlTree`."""

    def readings(self) -> Mapping[str, Reading]:
        """Return what all values are now, by address."""

    def look(self, address: str) -> tuple[Kind, Reading] | None:
        """Return the kind of a value and what it is now; None: there is no such value."""


class Surface:
    """Moves the values of a run as a map says.

    Args:
        act: changes a value, or does what is none.
        tree: the values of the run.
        controller: which control moves what.
        tell: called with a sentence that a person should know.
        keep: called with the map after a control was learned.
    """

    def __init__(
        self,
        act: Act,
        tree: Tree,
        controller: ControllerMap,
        *,
        tell: Callable[[str], None],
        keep: Callable[[ControllerMap], None],
    ) -> None:
        self._act, self._tree = act, tree
        self._tell, self._keep = tell, keep
        self._told: set[str] = set()
        self._map = controller
        self._known: tuple[str, ...] = ()
        self._controls: dict[Signal, Control] = {}
        self._unwired: list[Control] = []
        self._learning: Learning | None = None
        self._wire(tuple(tree.readings()))

    def learn(self, address: str) -> None:
        """Let the next control that is moved move this address. From any thread.

        Until then no control moves anything; `wait` ends that.

        Raises:
            SettingsError: there is no such value, or it is a name or a time.
        """
        found = self._tree.look(address)
        kind = None if found is None else found[0]
        if kind != "switch" and kind not in SCALES:
            known = [one for one in self._tree.readings() if one != address]
            way_out = nearest(address, known, f"try one like {known[0]}")
            raise SettingsError(f"{printable(address)} is no value to learn; {way_out}")
        self._learning = Learning(address, is_switch=kind == "switch")

    def wait(self, now: float) -> None:
        """Learn nothing where no control has moved for long; call it again and again."""
        learning = self._learning
        if learning is not None and learning.over(now):
            self._learning = None
            self._tell(f"MIDI: no control was moved, so none was learned for {learning.address}")

    def begin(self) -> None:
        """Forget where the controls are: the controller has just come."""
        self._controls.clear()
        self._wire(self._known)

    def receive(self, event: Event) -> None:
        """Do what a move says. Never raises."""
        learning = self._learning
        if learning is not None:
            known = self._map.controls.get(event.signal)
            if learning.feed(event, "absolute" if known is None else known.turn):
                self._learning = None
                self._learned(event.signal, learning.address)
            return
        control = self._controls.get(event.signal)
        try:
            if control is None:
                self._second_byte(event)
            else:
                self._moved(control, event)
        except StemstreamError as error:
            self._tell_once(f"MIDI: {error}")
        except Exception as error:  # the controller outlives a mistake of ours
            self._tell_once(f"MIDI: {event.signal}: {error!r}; please report it")

    def news(self) -> Iterator[bytes]:
        """Yield the messages for lamps and motors that are not as their values are."""
        values = self._tree.readings()
        if tuple(values) != self._known:  # a scene may bring listeners
            self._wire(tuple(values))
        while self._unwired:
            yield from self._unwired.pop().dark()
        for control in self._controls.values():
            message = control.shows(values.get(control.address))
            if message is not None:
                yield message

    def dark(self) -> Iterator[bytes]:
        """Yield the messages that put the lamps out, at the end."""
        for control in self._controls.values():
            yield from control.dark()

    def _wire(self, known: tuple[str, ...]) -> None:
        """Find the address of each control; those that go on as before keep what they know."""
        before, self._known, self._controls = self._controls, known, {}
        for signal, binding in self._map.controls.items():
            address = resolved(binding.to, known)
            if address is None:
                continue
            found = self._tree.look(address)  # a listener may come with a later scene
            scale = None if found is None else SCALES.get(found[0])
            control, wanted = before.get(signal), (address, binding, scale)
            if control is None or (control.address, control.binding, control.scale) != wanted:
                control = Control(signal, *wanted)
            self._controls[signal] = control
        self._unwired += [one for signal, one in before.items() if signal not in self._controls]

    def _learned(self, signal: Signal, address: str) -> None:
        self._map = self._map.learned(signal, address, self._known)
        self._wire(self._known)
        self._tell(f"MIDI: {signal} moves {address} from now on")
        self._keep(self._map)

    def _moved(self, control: Control, event: Event) -> None:
        binding, scale = control.binding, control.scale
        if scale is None:
            self._pressed(control, event)
        elif binding.turn != "absolute":
            place = self._place(control, scale) + steps(binding.turn, event.value) / FULL
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
        if control.scale is not None:
            self._turned(control, control.scale, control.whole(event.value))

    def _turned(self, control: Control, scale: Scale, event: Event) -> None:
        place = scale.settled(event.place, event.full)
        if control.takeover.takes(place, self._place(control, scale)):
            self._set(control, scale.value(place))
            control.takeover.gave(self._place(control, scale))

    def _pressed(self, control: Control, event: Event) -> None:
        if not control.press(event):
            return
        found, binding = self._tree.look(control.address), control.binding
        if binding.value is not None:
            if event.pressed:
                self._set(control, binding.value)
        elif found is None:
            if event.pressed:
                self._act(control.address, ())
        elif found[0] != "switch":
            raise SettingsError(f"{control.address} needs a value in the map; add value = ...")
        elif binding.press == "held":
            self._set(control, int(event.pressed))
        elif event.pressed:
            self._set(control, int(not found[1]))

    def _place(self, control: Control, scale: Scale) -> float:
        found = self._tree.look(control.address)
        if found is None or not isinstance(found[1], int | float):
            raise SettingsError(f"{control.address} is no more; move another")
        return scale.place(found[1])

    def _set(self, control: Control, value: object) -> None:
        self._act(control.address, (value,))

    def _tell_once(self, sentence: str) -> None:
        if sentence not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(sentence)
            self._tell(sentence)
