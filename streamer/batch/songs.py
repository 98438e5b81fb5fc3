"""The songs of a job: files, folders with all below them, patterns, and lists in CSV or JSON."""

from __future__ import annotations

import csv
import glob
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from streamer.errors import SettingsError

SUFFIXES: Final = frozenset(
    {".aac", ".ac3", ".aif", ".aiff", ".ape", ".au", ".caf", ".flac", ".m4a", ".m4v", ".mka"}
    | {".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".rf64", ".w64", ".wav"}
    | {".webm", ".wma", ".wv"}
)
"""The files of a folder that count as songs; a file that is named itself may be called anything."""
LISTS: Final = (".csv", ".jsonl")
COLUMNS: Final = ("path", "source", "file", "input")
"""What the column, or the field, with the paths may be called."""


HERE: Final = PurePath()


@dataclass(frozen=True, slots=True)
class Song:
    """One input. ``folder`` is where it lies below the folder that was named, empty for a file."""

    path: Path
    folder: PurePath = HERE


def find_songs(words: Sequence[str]) -> list[Song]:
    """Return the songs that the words name, each once, in order.

    A word is a file, a folder, a pattern (``*``, ``?``, ``**``), or a list: a CSV file with a
    column ``path``, or a file of JSON lines with a field ``path``. Paths in a list begin at its
    folder.

    Raises:
        SettingsError: a word names nothing, or a list has no paths.
    """
    found: dict[Path, Song] = {}
    for word in words:
        before = len(found)
        for song in _songs_of(word):
            found.setdefault(song.path.absolute(), song)
        if len(found) == before and not any(_songs_of(word)):
            raise SettingsError(
                f"there is no song in {word}; name a file, a folder with songs or a pattern"
            )
    return list(found.values())


def _songs_of(word: str) -> Iterator[Song]:
    path = Path(word)
    if path.is_dir():
        yield from _songs_below(path)
    elif path.suffix.lower() in LISTS and path.is_file():
        yield from (Song(path.parent / listed) for listed in _listed(path))
    elif path.exists() or not glob.has_magic(word):
        yield Song(path)  # that it is not there is told with the others' failures
    else:
        for match in sorted(map(Path, glob.glob(word, recursive=True))):  # noqa: PTH207
            if match.is_dir():
                yield from _songs_below(match)
            elif match.suffix.lower() in SUFFIXES:
                yield Song(match)


def _songs_below(folder: Path) -> Iterator[Song]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith("."):
            yield Song(path, path.parent.relative_to(folder))


def _listed(path: Path) -> list[str]:
    try:
        text = path.read_text("utf-8-sig")
        rows = _csv_rows(text) if path.suffix.lower() == ".csv" else _json_rows(text)
        return [_path_of(row, path) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} is no list of songs ({error}); save it as UTF-8") from None


def _csv_rows(text: str) -> list[dict[str, object]]:
    return list(csv.DictReader(text.splitlines()))


def _json_rows(text: str) -> list[object]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _path_of(row: object, path: Path) -> str:
    named = row if isinstance(row, dict) else {}
    found = next((named[column] for column in COLUMNS if named.get(column)), None)
    if not isinstance(found, str) or "\0" in found:
        raise SettingsError(
            f"{path} has a line without a path; give each a column or field {COLUMNS[0]}"
        )
    return found
