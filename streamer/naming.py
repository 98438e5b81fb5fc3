"""How the files of a track's stems are named: a template with fields in braces, as in demucs."""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Final

FIELDS: Final = ("track", "trackext", "stem", "ext")
FILENAME: Final = "{track}/{stem}.{ext}"
"""How demucs names files; a stem.mp4, which holds all stems, is called {track}.{ext}."""
_SAME: Final = {field: "" for field in FIELDS if field != "stem"}
"""Fields that say the same for all stems of a track."""


def check_template(template: str, *, one_file: bool) -> None:
    """Make sure that a template can be filled in; ``one_file``: all stems go to one file.

    Raises:
        ValueError: it cannot; says what it must hold.
    """
    made: set[str] = set()
    fields: set[str | None] = set()
    try:
        made = {template.format(stem=stem, **_SAME) for stem in ("vocals", "bass")}
        fields = {field for _, field, _, _ in string.Formatter().parse(template)} - {None}
    except (ValueError, LookupError, AttributeError):
        made.clear()
    if not made or not fields.issubset(FIELDS):
        raise ValueError(f"must hold {{stem}}, and of such fields only {_listed(FIELDS)}")
    if one_file and "stem" in fields:
        raise ValueError(
            "must not hold {stem}, since one file holds them all; of such fields only "
            f"{_listed(_SAME)}"
        )
    if not one_file and len(made) == 1:
        raise ValueError("must hold {stem}, whole, or all stems would go to one file")


def _listed(fields: Iterable[str]) -> str:
    return ", ".join(f"{{{field}}}" for field in fields)
