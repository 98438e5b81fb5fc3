"""Which control of a controller moves what: a map, in TOML.

::

    [controls]
    "cc 0" = "/stem/#1/gain"                      # the model's first stem; or /stem/vocals/gain
    "cc 48" = { to = "/stem/#1/mute", lamp = [127, 0] }
    "note 36 channel 10" = { to = "/dry", press = "held" }

An address is one of `live.control.commands`; what else a control may have says `Binding`. Ready
maps lie in the folder `ready`, chosen by the port's name.
"""

from __future__ import annotations

import json
import math
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, get_args

from streamer.errors import SettingsError
from streamer.files.part import write_whole
from streamer.live.control.midi.signals import FULL, Signal, parse_signal
from streamer.live.mixing.levels import printable
from streamer.words import nearest

Press = Literal["latched", "held"]
Turn = Literal["absolute", "offset", "twos-complement", "sign-bit"]

_LARGEST_BYTES: Final = 1 << 20
_PLACE: Final = re.compile(r"(?P<before>/[^#]*/)#(?P<number>\d{1,3})(?P<after>/[^#]*)")


@dataclass(frozen=True, slots=True)
class Binding:
    """What a control moves, and how.

    Args:
        to: an address, with ``#2`` for the second name of its kind.
        value: sent by a button to an address that is no switch, such as the name of a scene.
        press: a button switches over each time (``latched``), or is on while it is down (``held``;
            also for buttons that themselves send on and off by turns).
        turn: ``absolute``, or how an endless encoder writes its steps: around 64 (``offset``), as
            127 for one back (``twos-complement``), or with a sign of 64 (``sign-bit``).
        fine: a second control change, with a number 32 higher, brings seven bits more.
        lamp: what lights the control's lamp, and what makes it dark.
        echo: the value is told to the control: for motor faders and rings of lamps.
    """

    to: str
    value: str | float | None = None
    press: Press = "latched"
    turn: Turn = "absolute"
    fine: bool = False
    lamp: tuple[int, int] | None = None
    echo: bool = False


@dataclass(frozen=True)
class ControllerMap:
    """The bindings of a controller by its signals. ``name`` is the part of a port's name."""

    controls: Mapping[Signal, Binding] = field(default_factory=dict)
    name: str = ""

    def learned(self, signal: Signal, address: str, known: Iterable[str]) -> ControllerMap:
        """Return this map with a control that was learned; it takes the place of others.

        A control that had moved the same address moves nothing any more; buttons that send it a
        value go on. What a control is stays: an encoder, a motor fader, its lamp.
        """
        addresses = tuple(known)
        kept = {
            other: binding
            for other, binding in self.controls.items()
            if other != signal
            and (binding.value is not None or resolved(binding.to, addresses) != address)
        }
        before = self.controls.get(signal, Binding(address))
        return replace(self, controls={**kept, signal: replace(before, to=address, value=None)})


def resolved(address: str, known: Iterable[str]) -> str | None:
    """Return an address with the name that ``#2`` stands for; None: there are fewer."""
    found = _PLACE.fullmatch(address)
    if found is None:
        return address
    before, after = found["before"], found["after"]
    names = [
        one
        for one in known
        if one.startswith(before)
        and one.endswith(after)
        and "/" not in one[len(before) : -len(after)]
    ]
    place = int(found["number"])
    return names[place - 1] if 1 <= place <= len(names) else None


def ready_map(port: str) -> ControllerMap | None:
    """Return the ready map whose name is in a port's name, if there is one."""
    found = [one for one in _ready() if one.name.casefold() in port.casefold()]
    return max(found, key=lambda one: len(one.name), default=None)


def load_map(path: Path) -> ControllerMap:
    """Read a map.

    Raises:
        SettingsError: it cannot be read, is not TOML, or has a wrong value.
    """
    place = printable(path)
    try:
        found = path.stat()
        fitting = stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST_BYTES
        text = path.read_text("utf-8") if fitting else None
    except OSError as error:
        raise SettingsError(
            f"midi_map={place} cannot be read ({error.strerror}); give a map in TOML"
        ) from None
    except ValueError:
        text = None
    if text is None:
        raise SettingsError(f"midi_map={place} must be a map in TOML; try one of docs/midi.md")
    try:
        return parse_map(text)
    except SettingsError as error:
        raise SettingsError(f"{place}: {error}") from None


def parse_map(text: str) -> ControllerMap:
    """Return the map that a text in TOML writes.

    Raises:
        SettingsError: it is not TOML, or has a wrong value.
    """
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is nested deeply"
        raise SettingsError(f"this is no valid TOML: {reason}; mend that line") from None
    _refuse_unknown("", values, ("name", "controls"))
    name, controls = values.get("name", ""), values.get("controls", {})
    if not isinstance(name, str):
        raise SettingsError(f"name={printable(name)} must be a text; try a part of the port's name")
    if not isinstance(controls, dict):
        raise SettingsError("controls must be a table; try [controls]")
    return ControllerMap(
        {parse_signal(written): _binding(written, value) for written, value in controls.items()},
        name,
    )


def save_map(path: Path, controller: ControllerMap) -> None:
    """Write a map that `load_map` reads back the same; an old one is replaced as a whole.

    Raises:
        SinkError: it cannot be written.
    """
    write_whole(path, dump_map(controller))


def dump_map(controller: ControllerMap) -> str:
    """Return a map as the text of its file."""
    lines = [f"name = {_written(controller.name)}", "", "[controls]"]
    for signal, binding in controller.controls.items():
        given = {
            one.name: getattr(binding, one.name)
            for one in fields(binding)
            if getattr(binding, one.name) != one.default
        }
        table = ", ".join(f"{name} = {_written(value)}" for name, value in given.items())
        only = _written(binding.to) if list(given) == ["to"] else f"{{ {table} }}"
        lines.append(f"{_written(str(signal))} = {only}")
    return "\n".join([*lines, ""])


def _ready() -> list[ControllerMap]:
    folder = resources.files("streamer.live.control.midi") / "ready"
    return [
        parse_map(one.read_text("utf-8")) for one in folder.iterdir() if one.name.endswith(".toml")
    ]


def _binding(control: str, value: object) -> Binding:
    if isinstance(value, str):
        value = {"to": value}
    if not isinstance(value, dict):
        raise SettingsError(f'{control} must be an address or a table; try "/stem/vocals/gain"')
    _refuse_unknown(f"{control}: ", value, _CHECKS)
    if "to" not in value:
        raise SettingsError(f'{control} must say what it moves; try to = "/stem/vocals/gain"')
    checked = {name: _CHECKS[name](f"{control}: {name}", one) for name, one in value.items()}
    return Binding(**checked)


def _address(name: str, value: object) -> str:
    if isinstance(value, str) and value.startswith("/"):
        return value
    raise SettingsError(f"{name}={printable(value)} must be an address; try /stem/vocals/gain")


def _value(name: str, value: object) -> str | float:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise SettingsError(f"{name}={printable(value)} must be a text or a number; try 1")


def _one_of(choices: tuple[str, ...], name: str, value: object) -> str:
    if isinstance(value, str) and value in choices:
        return value
    raise SettingsError(
        f"{name}={printable(value)} must be {' or '.join(choices)}; try {choices[0]}"
    )


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise SettingsError(f"{name}={printable(value)} must be true or false; try true")


def _lamp(name: str, value: object) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2:
        on, off = value
        if all(type(one) is int and 0 <= one <= FULL for one in (on, off)):
            return on, off
    raise SettingsError(
        f"{name}={printable(value)} must be two numbers from 0 to {FULL}, for on and off; "
        f"try [{FULL}, 0]"
    )


_CHECKS: Final[Mapping[str, Any]] = {
    "to": _address,
    "value": _value,
    "press": partial(_one_of, get_args(Press)),
    "turn": partial(_one_of, get_args(Turn)),
    "fine": _flag,
    "lamp": _lamp,
    "echo": _flag,
}


def _refuse_unknown(place: str, values: Mapping[str, Any], known: Iterable[str]) -> None:
    names = list(known)
    for name in values:
        if name not in names:
            raise SettingsError(
                f"{place}{printable(name)} is nothing a map knows; {nearest(name, names)}"
            )


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    # JSON writes texts, numbers and truths as TOML does, but for this one character
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
