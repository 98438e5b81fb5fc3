"""Words that many sentences share: counts, and the name that was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def counted(number: int, one: str, many: str = "") -> str:
    """Return a count in words: "1 window", "2,000 windows"; ``many`` is an irregular plural."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def nearest(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """Return the way out for a name that is not known: "try" the one that is like it.

    Without one it is ``otherwise``, or a list of all that there are.
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"try {close[0]}" if close else otherwise or f"there are {', '.join(known)}"
