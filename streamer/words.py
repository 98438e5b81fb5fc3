"""Numbers as people say them."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """Return how many there are: "1 window", "2,000 windows"; ``many`` where no s makes it so."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
