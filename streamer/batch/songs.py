"""The songs of a job: files, folders with all below them, patterns, and lists in CSV or JSON.

All of these may be in object stores, too. Their keys are foreign text. What becomes a path of this
machine is checked here: a song whose key cannot be one has a ``problem``, and is told as failed.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Final

from streamer.batch import store
from streamer.batch.store import Seen
from streamer.errors import SettingsError, SourceError, StemstreamError
from streamer.naming import FileName, is_address, spelled_out

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
    """One input: a path, or the address of an object.

    ``folder`` is where it lies below the folder that was named, empty for a file. ``seen`` is what
    a listing told of it, and ``problem`` why it cannot be separated, if that is known already.
    """

    source: str
    folder: PurePath = HERE
    seen: Seen | None = None
    problem: str = ""


def find_songs(words: Sequence[str]) -> list[Song]:
    """Return the songs that the words name, each once, in order.

    A word is a file, a folder, a pattern (``*``, ``?``, ``**``), or a list: a CSV file with a
    column ``path``, or a file of JSON lines with a field ``path``. Paths in a list begin at its
    folder. Each may be the address of an object store (``s3://bucket/key``).

    Raises:
        SettingsError: a word names nothing, or a list has no paths.
        SourceError: a store cannot be read.
    """
    found: dict[str, Song] = {}
    for word in words:
        songs = list(_songs_in_store(word) if is_address(word) else _songs_of(word))
        if not songs:
            raise SettingsError(
                f"there is no song in {word}; name a file, a folder with songs or a pattern"
            )
        for song in songs:
            found.setdefault(spelled_out(song.source), song)
    return list(found.values())


def look(song: Song, known: Seen) -> Seen:
    """Return what is to be seen of a song now; nothing, if it cannot be read or has a problem.

    Its content is read unless a store tells a digest, or its bytes and its date are as known. Where
    no date is told, nothing is known of it.
    """
    if song.problem:
        return Seen()
    try:
        if is_address(song.source):
            seen = song.seen or store.look(song.source)
            readable = True
        else:
            status = Path(song.source).stat()
            seen = Seen(status.st_size, status.st_mtime_ns)
            readable = stat.S_ISREG(status.st_mode)
        if seen.content or not readable:
            return seen
        if known.content and seen.modified_ns and seen == replace(known, content=""):
            return known
        return replace(seen, content=_digest(song.source))
    except (OSError, StemstreamError):
        return Seen()  # whoever opens it tells why it cannot be read


def _digest(source: str) -> str:
    if is_address(source):
        return store.digest(source)
    with Path(source).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# On this machine


def _songs_of(word: str) -> Iterator[Song]:
    # not Path's questions, which raise where this user may not look
    path = Path(word)
    if os.path.isdir(word):  # noqa: PTH112
        yield from _songs_below(path)
    elif path.suffix.lower() in LISTS and os.path.isfile(word):  # noqa: PTH113
        for listed in _listed(word, _text(path)):
            yield _named(listed) if is_address(listed) else Song(str(path.parent / listed))
    elif not glob.has_magic(word) or os.path.exists(word):  # noqa: PTH110
        yield Song(str(path))  # that it is not there is told with the others' failures
    else:
        for match in sorted(map(Path, glob.glob(word, recursive=True))):  # noqa: PTH207
            if match.is_dir():
                yield from _songs_below(match)
            elif match.suffix.lower() in SUFFIXES:
                yield Song(str(match))


def _songs_below(folder: Path) -> Iterator[Song]:
    for path in sorted(folder.rglob("*")):
        known = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        if known and os.path.isfile(path):  # noqa: PTH113
            yield Song(str(path), path.parent.relative_to(folder))


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror})") from None


# In a store


def _songs_in_store(word: str) -> Iterator[Song]:
    word = word.rstrip("/")
    suffix = PurePosixPath(word).suffix.lower()
    if suffix in LISTS:
        folder = word.rpartition("/")[0]
        for listed in _listed(word, store.read(word)):
            yield _named(listed if is_address(listed) else f"{folder}/{listed}")
        return
    if suffix in SUFFIXES and not glob.has_magic(word) and not store.stands(word, SourceError):
        yield _named(word)  # that it is not there is told with the others' failures
        return
    for found in store.listed(word):
        name = found.below.rpartition("/")[2]
        wanted = PurePosixPath(name).suffix.lower() in SUFFIXES and not name.startswith(".")
        if wanted or found.address == word:
            yield _checked(found.address, found.below, found.seen)


def _named(address: str) -> Song:
    return _checked(address, address.rpartition("/")[2], None)


def _checked(address: str, key: str, seen: Seen | None) -> Song:
    """Return a song whose key can be a path below any folder, or one with a problem."""
    try:
        *folders, _name = [FileName(part) for part in key.split("/")]
    except ValueError as error:
        return Song(address, seen=seen, problem=f"its key cannot be a path here: {error}")
    return Song(address, PurePosixPath(*folders), seen)


# Lists


def _listed(name: str, content: bytes) -> list[str]:
    try:
        text = content.decode("utf-8-sig")
        rows = _csv_rows(text) if name.lower().endswith(".csv") else _json_rows(text)
        return [_path_of(row, name) for row in rows]
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError, RecursionError) as error:
        raise SettingsError(f"{name} is no list of songs ({error}); save it as UTF-8") from None


def _csv_rows(text: str) -> list[dict[str, object]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _json_rows(text: str) -> list[object]:
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _path_of(row: object, name: str) -> str:
    named = row if isinstance(row, dict) else {}
    found = next((named[column] for column in COLUMNS if named.get(column)), None)
    if not isinstance(found, str) or "\0" in found:
        raise SettingsError(
            f"{name} has a line without a path; give each a column or field {COLUMNS[0]}"
        )
    return found
