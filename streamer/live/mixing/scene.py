"""Scenes: a whole mix in a TOML file, loaded, saved, and followed while it is edited.

::

    master_db = -3.0
    fallback = "silence"          # if stems are missing; or "dry"

    [routes]                      # who hears what, each written as for --route
    front = ["vocals=1,2", "drums=1,2@-3"]
    drummer = ["mix-drums=3,4", "headphones:vocals=1,2@-6"]

    [stems.vocals]
    gain_db = -2.0
    mute = false
    solo = false
    pan = 0.0

    [listeners.singer]            # a mix of one's own
    output = "5,6"                # all stems; or routes of that name in [routes]
    me = "vocals"
    more_db = 3.0                 # so much louder
    gain_db = 0.0                 # the level of it all
    stems.drums = { gain_db = -6.0, mute = false }

Every value may be left out; then it has its default. ``routes`` may also be a plain list.
"""

from __future__ import annotations

import json
import re
import stat
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args

from streamer.errors import SettingsError, StemstreamError
from streamer.files.part import write_whole
from streamer.live.mixing.levels import (
    checked_gain,
    checked_me,
    checked_more,
    checked_pan,
    checked_switch,
    printable,
)
from streamer.live.mixing.mixer import Mixer
from streamer.live.mixing.routes import Route, parse_place, parse_route
from streamer.live.mixing.state import Listener, Scene, Send, StemState
from streamer.naming import FileName
from streamer.pipeline.delay import Fallback
from streamer.words import nearest

_LARGEST_BYTES: Final = 1 << 20
_CONTROLS: Final = {
    "gain_db": checked_gain,
    "mute": checked_switch,
    "solo": checked_switch,
    "pan": checked_pan,
}
_SEND: Final = {"gain_db": checked_gain, "mute": checked_switch}
_LISTENER: Final = {
    "output": parse_place,
    "gain_db": checked_gain,
    "me": checked_me,
    "more_db": checked_more,
}
_NOT_IN_NAMES: Final = frozenset("#*,?[]{} ")
"""What would mean something else in an OSC address."""
_Stamp: TypeAlias = tuple[int, int, int]


class SceneFile:
    """A scene file that may be edited while its scene plays.

    The caller asks from time to time; there is no thread and no clock here.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._loaded: _Stamp | None = None
        self._seen: _Stamp | None = None

    def load(self) -> Scene:
        """Read the scene, and remember this version of the file.

        Raises:
            SettingsError: it cannot be read, or has a wrong value.
        """
        self.remember()
        return load_scene(self.path)

    def remember(self) -> None:
        """Take this version of the file for the one that plays: it has just been written."""
        self._loaded = self._seen = self._stamp()

    def changed(self) -> bool:
        """Return whether the file has changed since it was loaded, and not since the last call.

        An editor that writes in two steps leaves an empty file for a moment, or none. That does not
        count as a change yet.
        """
        now = self._stamp()
        at_rest = now is not None and now == self._seen
        self._seen = now
        return at_rest and now != self._loaded

    def follow(self, mixer: Mixer) -> str | None:
        """Recall the scene again if the file has changed, and return one sentence to show.

        A wrong file is told once until it changes again; the mixer stays as it is.
        """
        if not self.changed():
            return None
        try:
            mixer.apply(self.load())
        except StemstreamError as error:
            return f"{self._named(error)}; the scene before stays"
        return f"scene {self.path.name} loaded"

    def recall(self, mixer: Mixer) -> None:
        """Load the scene into a mixer; if it is wrong, the mixer stays as it is.

        Raises:
            SettingsError: the file is wrong, or does not fit the mixer.
        """
        scene = self.load()
        try:
            mixer.apply(scene)
        except SettingsError as error:
            raise SettingsError(self._named(error)) from None

    def _named(self, error: StemstreamError) -> str:
        told = str(error)
        return told if str(self.path) in told else f"{self.path}: {told}"

    def _stamp(self) -> _Stamp | None:
        try:
            found = self.path.stat()
        except (OSError, ValueError):
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def load_scene(path: Path) -> Scene:
    """Read a scene file.

    Raises:
        SettingsError: it cannot be read, is not TOML, or has a wrong value.
    """
    place = f"{printable(path)}: "
    text = _text(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{place}this is no valid TOML: {error}; mend that line") from None
    except (RecursionError, ValueError):
        raise SettingsError(
            f"{place}this is no scene, but nested deeply or a number of thousands of digits; "
            "give a scene file in TOML"
        ) from None
    if not values:
        raise SettingsError(f"{place}the scene is empty; write at least master_db = 0.0")
    try:
        return _scene(values)
    except SettingsError as error:
        raise SettingsError(f"{place}{error}") from None


def save_scene(path: Path, scene: Scene) -> None:
    """Write a scene file that `load_scene` reads back the same; an old one is replaced as a whole.

    Raises:
        SinkError: it cannot be written.
    """
    write_whole(path, dump_scene(scene))


def dump_scene(scene: Scene) -> str:
    """Return a scene as the text of its file."""
    lines = [f"master_db = {scene.master_db!r}"]
    if scene.fallback:
        lines.append(f"fallback = {_quoted(scene.fallback)}")
    lines += _routes_lines(scene.routes)
    for stem, controls in scene.stems.items():
        lines += ["", f"[stems.{_key(stem)}]"]
        lines += [f"{name} = {_value(getattr(controls, name))}" for name in _CONTROLS]
    for name, listener in scene.listeners.items():
        lines += ["", *_listener_lines(f"listeners.{_key(name)}", listener)]
    return "\n".join([*lines, ""])


def _scene(values: Mapping[str, Any]) -> Scene:
    _refuse_unknown("", values, [one.name for one in fields(Scene)])
    stems = _table("stems", values.get("stems", {}))
    listeners = _table("listeners", values.get("listeners", {}))
    fallback = values.get("fallback")
    if fallback is not None and fallback not in get_args(Fallback):
        raise SettingsError(f"fallback={printable(fallback)} must be dry or silence; try dry")
    return Scene(
        stems={name: _stem(f"stems.{printable(name)}", table) for name, table in stems.items()},
        routes=_routes(values["routes"]) if "routes" in values else None,
        master_db=checked_gain("master_db", values.get("master_db", 0.0)),
        fallback=fallback,
        listeners={checked_listener(name): _listener(name, one) for name, one in listeners.items()},
    )


def checked_listener(name: str) -> str:
    """Return a listener's name, which stands in addresses too.

    Raises:
        SettingsError: it cannot.
    """
    try:
        FileName(name)
    except ValueError as error:
        raise SettingsError(f"listeners: {error}") from None
    if _NOT_IN_NAMES & {*name}:
        raise SettingsError(
            f"listeners: {printable(name)} must be a name without spaces and any of "
            f"{''.join(sorted(_NOT_IN_NAMES)).strip()}; rename it"
        )
    return name


def _listener(name: str, table: Any) -> Listener:
    place = f"listeners.{printable(name)}"
    given = dict(_table(place, table))
    stems = _table(f"{place}.stems", given.pop("stems", {}))
    return Listener(
        **_checked(place, given, _LISTENER),
        stems={
            stem: Send(**_checked(f"{place}.stems.{printable(stem)}", one, _SEND))
            for stem, one in stems.items()
        },
    )


def _stem(name: str, table: Any) -> StemState:
    return StemState(**_checked(name, table, _CONTROLS))


def _checked(
    name: str, table: Any, known: Mapping[str, Callable[[str, object], Any]]
) -> dict[str, Any]:
    given = _table(name, table)
    _refuse_unknown(f"{name}.", given, known)
    return {key: known[key](f"{name}.{key}", value) for key, value in given.items()}


def _routes(values: Any) -> tuple[Route, ...]:
    by_listener = values if isinstance(values, dict) else {"": values}
    routes: list[Route] = []
    for listener, written in by_listener.items():
        name = f"routes.{printable(listener)}" if listener else "routes"
        if not isinstance(written, list) or not all(isinstance(one, str) for one in written):
            raise SettingsError(f'{name} must be a list of routes; try ["vocals=1,2"]')
        routes += [replace(parse_route(one), listener=listener) for one in written]
    return tuple(routes)


def _table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{name}={printable(value)} must be a table; try [{name}]")
    return value


def _refuse_unknown(place: str, values: Mapping[str, Any], known: Collection[str]) -> None:
    for name in values:
        if name not in known:
            raise SettingsError(
                f"{place}{printable(name)} is nothing a scene knows; {nearest(name, known)}"
            )


def _text(path: Path) -> str:
    # a remote may name any path: a pipe would never end, a recording would fill the memory
    try:
        found = path.stat()
        fitting = stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST_BYTES
        text = path.read_text("utf-8") if fitting else None
    except UnicodeDecodeError:
        raise SettingsError(f"{printable(path)} is no text in UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(
            f"scene {printable(path)} cannot be read ({error.strerror}); give a scene file in TOML"
        ) from None
    except ValueError:
        raise SettingsError(
            f"scene {printable(path)} is no file name; give a scene file in TOML"
        ) from None
    if text is None:
        raise SettingsError(f"{printable(path)} is no scene file; give one in TOML")
    return text


def _routes_lines(routes: tuple[Route, ...] | None) -> list[str]:
    if routes is None:
        return []
    by_listener: dict[str, list[str]] = {}
    for route in routes:
        by_listener.setdefault(route.listener, []).append(_quoted(str(route)))
    if not by_listener.keys() - {""}:
        return [f"routes = [{', '.join(by_listener.get('', []))}]"]
    return [
        "",
        "[routes]",
        *(f"{_key(name)} = [{', '.join(written)}]" for name, written in by_listener.items()),
    ]


def _listener_lines(table: str, listener: Listener) -> Iterator[str]:
    yield f"[{table}]"
    if listener.output is not None:
        yield f"output = {_quoted(str(listener.output))}"
    yield f"gain_db = {listener.gain_db!r}"
    yield f"me = {_quoted(listener.me)}"
    yield f"more_db = {listener.more_db!r}"
    for stem, send in listener.stems.items():
        values = ", ".join(f"{name} = {_value(getattr(send, name))}" for name in _SEND)
        yield f"stems.{_key(stem)} = {{ {values} }}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    # JSON's strings are TOML's, but for this one character
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: bool | float) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
