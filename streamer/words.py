"""Numbers as people say them."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """Return a count in words: "1 window", "2,000 windows"; ``many`` is an irregular plural."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
