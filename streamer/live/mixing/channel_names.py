"""Names for an output's channels, after what plays there: for devices whose channels have names.

::

    vocals=1,2                  vocals_L, vocals_R
    drums=1,2 and bass=1,2      mix_L, mix_R
    mix-vocals=3,4              mix-vocals_L, mix-vocals_R
    drums=5                     drums
    for the listener "anna"     anna_L, anna_R
    nothing                     out_7
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from streamer.live.mixing.routes import MIX, Route

INPUTS: Final = ("in", "in_L", "in_R")
"""Names that belong to the inputs of the same client."""
MOST_CHARACTERS: Final = 64
_SIDES: Final = ("_L", "_R")
_UNFIT: Final = re.compile(r"[^\w .+-]")


def channel_names(routes: Iterable[Route], port: str, outputs: int) -> tuple[str, ...]:
    """Return a name for each channel of an output; no two are alike.

    ``routes`` have the full names of their outputs.
    """
    heard: dict[int, set[str]] = defaultdict(set)
    sides: dict[int, set[str]] = defaultdict(set)
    for route in routes:
        if route.port == port:
            for side, channel in zip(_sides(route), route.channels, strict=True):
                heard[channel].add(route.listener or route.source)
                sides[channel].add(side)
    names: list[str] = []
    for channel in range(1, outputs + 1):
        label, side = f"out_{channel}", ""
        if channel in heard:
            label = _UNFIT.sub("_", _only(heard[channel], MIX))[:MOST_CHARACTERS]
            side = _only(sides[channel], "")
        name, number = label, 1
        while name + side in (*names, *INPUTS):
            number += 1
            name = f"{label}_{number}"
        names.append(name + side)
    return tuple(names)


def _sides(route: Route) -> tuple[str, ...]:
    return _SIDES if len(route.channels) == 2 else ("",)


def _only(found: set[str], other: str) -> str:
    """Return the one that there is, or the other for several."""
    return next(iter(found)) if len(found) == 1 else other
