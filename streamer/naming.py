"""How the files of a track's stems are named: a template with fields in braces, as in demucs.

The fields are filled with foreign text: stem names from a model's file, track names from the disk.
Such text becomes a `FileName` as soon as it comes in.
"""

from __future__ import annotations

import contextlib
import os
import re
import string
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

FIELDS: Final = ("track", "trackext", "stem", "ext")
PIPE: Final = Path("-")
"""As the folder for stems: standard output, which takes one stem."""
FILENAME: Final = "{track}/{stem}.{ext}"
"""How demucs names files; a stem.mp4, which holds all stems, is called {track}.{ext}."""
WIDEST: Final = 255
"""The most characters that a field may be padded to: no disk takes longer names."""
_SAME: Final = {field: "" for field in FIELDS if field != "stem"}
"""Fields with the same value for all stems of a track."""

MOST_NAME_BYTES: Final = 200
"""A file name has 255 bytes at most, and ``minus_`` and an ending need some of them."""
MOST_NAMES: Final = 64
"""The most stems of a model."""
_FORBIDDEN: Final = frozenset("/\\:")
"""Characters that lead out of a folder, here or on Windows."""
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class FileName(str):
    """A name for one file or folder that stays in the folder where it is put.

    ``FileName(text)`` checks text that others wrote, such as the stem names in a model's file.
    `on_disk` takes the name of a file that exists, unchecked.

    Raises:
        ValueError: the text cannot be such a name; the message says what it must be.
    """

    __slots__ = ()

    def __new__(cls, text: object) -> Self:
        """Check the text; there is no way around it."""
        if isinstance(text, cls):
            return text
        if not isinstance(text, str):
            raise ValueError(f"{_quoted(text)} must be text; rename it")
        # isprintable: no codes for a terminal, no line breaks, no halves of surrogate pairs
        if not text or text.startswith(".") or not text.isprintable() or _FORBIDDEN & {*text}:
            raise ValueError(
                f"{_quoted(text)} must be a plain name: not empty, no dot at its start, and no "
                f"{' '.join(sorted(_FORBIDDEN))} or control characters in it; rename it"
            )
        if len(text.encode()) > MOST_NAME_BYTES:
            raise ValueError(f"{_quoted(text)} must be {MOST_NAME_BYTES} bytes at most; rename it")
        return super().__new__(cls, text)

    @classmethod
    def on_disk(cls, name: str) -> Self:
        """Return the name of an existing file or folder, whatever its characters."""
        if Path(name).name != name or not name.strip("."):
            raise ValueError(f"{_quoted(name)} must be the name of one file; rename it")
        return str.__new__(cls, name)


def is_address(word: str) -> bool:
    """Return whether a word is the address of a store, as ``s3://bucket/key``, and no path."""
    return _ADDRESS.match(word) is not None


def spelled_out(name: str) -> str:
    """Return a path from the root on, without ``..``; a link stays one. An address stays as is."""
    return name if is_address(name) else os.path.abspath(name)  # noqa: PTH100 (it follows links)


def distinct_names(names: Iterable[object]) -> tuple[FileName, ...]:
    """Return names for files in one folder. Names that differ only in case count as the same.

    Raises:
        ValueError: one is no `FileName`, two are the same, or there are none or too many.
    """
    checked = tuple(map(FileName, names))
    if not 1 <= len(checked) <= MOST_NAMES:
        raise ValueError(f"there must be 1 to {MOST_NAMES} names, not {len(checked)}")
    seen: set[str] = set()
    for name in checked:
        folded = unicodedata.normalize("NFC", name.casefold())
        if folded in seen:
            raise ValueError(f"{_quoted(name)} must be there once only; rename it")
        seen.add(folded)
    return checked


def track_name(source: str | Path) -> FileName:
    """Return the name of a track: its file's name without the ending, as in demucs.

    Leading dots are dropped if nothing else would be left: ``...wav`` is the track ``wav``.
    """
    name = Path(source).name
    track = name.rpartition(".")[0]
    return FileName.on_disk(track if track.strip(".") else name.lstrip(".") or "track")


def _quoted(text: object) -> str:
    """Return text for a sentence: short, and without any command for a terminal."""
    shown = ascii(text)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def check_template(template: str, *, one_file: bool) -> None:
    """Make sure that a template can be filled in; ``one_file``: all stems go to one file.

    Raises:
        ValueError: it cannot; the message says what it must contain.
    """
    made: set[str] = set()
    fields: set[str | None] = set()
    _check_harmless(template)
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


def _check_harmless(template: str) -> None:
    """Make sure that filling it in is quick, and that it leads to no other folder."""
    if "\0" in template:
        raise ValueError("must hold no NUL character")
    if template.startswith("/") or ".." in template.split("/"):
        raise ValueError(
            "must stay in the folder of --out, so without .. between slashes and / at its start"
        )
    specs: list[str | None] = []
    with contextlib.suppress(ValueError):  # no template at all: the error is about the whole text
        specs = [spec for _, _, spec, _ in string.Formatter().parse(template)]
    for spec in filter(None, specs):
        if "{" in spec or any(int(width) > WIDEST for width in re.findall(r"\d{1,9}", spec)):
            raise ValueError(f"must make no field wider than {WIDEST}, and by a number")


def _listed(fields: Iterable[str]) -> str:
    return ", ".join(f"{{{field}}}" for field in fields)
