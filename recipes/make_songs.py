"""Make songs with their stems, to learn from beside real ones.

python recipes/make_songs.py rendered FOLDER [--songs 300] [--seconds 20] [--seed 0]
python recipes/make_songs.py singers FOLDER --musdb FOLDER --cc0 FOLDER

What can be made: ``guitars``, ``kits``, ``rendered``, ``demos``, ``singers``. The
modules in `songs` say what each needs, and under which licences it is. What is there already stays,
so that a command that was stopped goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SONGS = {"kits": 150, "rendered": 300, "singers": 300}
"""How many of each are made, unless told otherwise."""


@dataclass(frozen=True)
class Order:
    """What to make: where, how many songs, how long, and from which real ones."""

    folder: Path
    songs: int
    seconds: float
    seed: int
    musdb: Path | None = None
    cc0: Path | None = None


def _guitars(order: Order) -> None:
    from songs import guitars

    guitars.make(order.folder)


def _kits(order: Order) -> None:
    from songs import drums

    drums.make(order.folder, order.songs, order.seconds, order.seed)


def _rendered(order: Order) -> None:
    from songs import rendered

    rendered.make(order.folder, order.songs, order.seconds, order.seed)


def _demos(order: Order) -> None:
    from songs import demos

    demos.make(order.folder)


def _singers(order: Order) -> None:
    from songs import singers

    if order.musdb is None:
        raise SystemExit("singers need --musdb FOLDER, and --cc0 FOLDER where you have it")
    singers.make(order.folder, order.songs, order.musdb, order.cc0, order.seed)


MAKERS: dict[str, Callable[[Order], None]] = {
    "guitars": _guitars,
    "kits": _kits,
    "rendered": _rendered,
    "demos": _demos,
    "singers": _singers,
}


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", choices=MAKERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--songs", type=int)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--musdb", type=Path)
    parser.add_argument("--cc0", type=Path)
    told = parser.parse_args()
    songs = told.songs or SONGS.get(told.source, 0)
    MAKERS[told.source](Order(told.folder, songs, told.seconds, told.seed, told.musdb, told.cc0))


if __name__ == "__main__":
    main()
