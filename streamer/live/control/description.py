"""Everything that a remote shows, as one value: what the page's first message needs.

All of it is plain (dicts, lists, texts and numbers), so that it can be sent as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from streamer.live.control.commands import status_messages
from streamer.live.control.controls import Controls
from streamer.live.control.values import ControlTree, Reading, Value
from streamer.live.mixing.state import MixState
from streamer.live.status import Status

_COLOURS: Final[Mapping[str, str]] = {
    "drums": "#e69f00",
    "bass": "#56b4e9",
    "other": "#009e73",
    "vocals": "#cc79a7",
    "guitar": "#d55e00",
    "piano": "#f0e442",
}
"""Colours that people with any colour vision can tell apart (Okabe and Ito 2008,
https://jfly.uni-koeln.de/color/)."""
_MORE_COLOURS: Final = ("#0072b2", "#999999", *_COLOURS.values())


def describe(controls: Controls, status: Status, tree: ControlTree) -> dict[str, Any]:
    """Return everything that there is to show and to set, at this moment.

    ``stems`` in the model's order, each with ``name``, ``label`` and ``colour``. ``values``: what
    each value is, by address. ``ranges``: by address what it may be: ``kind``, and ``low``,
    ``high`` (None: no limit) and ``unit``, or ``choices`` of a name. ``listeners``: ``name``,
    ``output`` and ``me``. ``scenes``: ``names`` and ``current``. ``transport``: whether a file is
    played. ``status``: its numbers and texts by name, as for OSC.
    """
    state = controls.mixer.state
    return {
        "stems": stems(controls.mixer.stems),
        "values": tree.readings(),
        "ranges": {address: span(value) for address, value in tree.values(state).items()},
        "listeners": listeners(state),
        "scenes": {"names": list(controls.scenes.names), "current": controls.scenes.current},
        "transport": controls.transport is not None,
        "status": plain_status(status),
    }


def stems(names: Sequence[str]) -> list[dict[str, str]]:
    """Return what each strip is called and which colour it has."""
    spare = iter(_MORE_COLOURS)
    return [
        {
            "name": name,
            "label": name.replace("_", " ").capitalize(),
            "colour": _COLOURS.get(name) or next(spare, _MORE_COLOURS[0]),
        }
        for name in names
    ]


def span(value: Value) -> dict[str, Any]:
    """Return what a value may be."""
    if value.choices is not None:
        return {"kind": value.kind, "choices": list(value.choices())}
    low, high, unit = value.range or (0.0, 1.0, "")
    finite = high if high != float("inf") else None
    return {"kind": value.kind, "low": low, "high": finite, "unit": unit}


def listeners(state: MixState) -> list[dict[str, str]]:
    """Return who has a mix of one's own, and where it plays."""
    return [
        {"name": name, "output": str(one.output or ""), "me": one.me}
        for name, one in state.listeners.items()
    ]


def plain_status(status: Status) -> dict[str, float | str]:
    """Return the numbers and texts of a status by their names outside."""
    return {one.address.removeprefix("/status/"): one.args[0] for one in status_messages(status)}


class Changes:
    """Tells which values have changed since the last call, for one remote.

    Ask it 20 to 50 times a second: that is cheap.

    Args:
        tree: the values.
        told: what the remote knows already.
    """

    def __init__(self, tree: ControlTree, told: Mapping[str, Reading]) -> None:
        self._tree, self._told = tree, dict(told)

    def news(self) -> dict[str, Reading]:
        """Return the values that changed, by address; those that are gone are simply forgotten."""
        now = self._tree.readings()
        changed = {at: one for at, one in now.items() if self._told.get(at) != one}
        self._told = now
        return changed
