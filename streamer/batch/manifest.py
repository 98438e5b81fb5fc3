"""What became of each song of a job: a table in a file that survives any end of the program.

SQLite writes it, so a row is there whole or not at all, after ``kill -9``, too. One job at a time
holds the folder.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from streamer.errors import SinkError
from streamer.naming import spelled_out

FILE: Final = "manifest.sqlite"
LAYOUT: Final = 1
PATIENCE_SECONDS: Final = 10.0
"""How long one who only looks waits while a row is written."""


class State(StrEnum):
    """What a song is at."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Row:
    """A song of a job. In the table paths are from the root on, since a job has no working folder.

    ``bytes`` and ``modified_ns`` are of its file, ``content`` is the digest of what is in it, and
    ``settings`` stands for all that decides how its stems sound. ``tries`` counts its beginnings.
    ``seconds`` is its length, ``elapsed_seconds`` what its separation took. ``error`` says why it
    failed, with the exit code for that. ``outputs`` are the files that the job
    has begun to write, and may replace.
    """

    source: str
    bytes: int = 0
    modified_ns: int = 0
    content: str = ""
    settings: str = ""
    state: State = State.WAITING
    tries: int = 0
    seconds: float = 0.0
    elapsed_seconds: float = 0.0
    error: str = ""
    exit_code: int = 0
    outputs: tuple[str, ...] = ()


_COLUMNS: Final = [one.name for one in fields(Row)]
_TABLE: Final = f"create table if not exists songs (source primary key, {', '.join(_COLUMNS[1:])})"
_MADE: Final = "create table if not exists made (settings primary key, model, stems)"
_PUT: Final = f"insert or replace into songs values ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_GET: Final = f"select {', '.join(_COLUMNS)} from songs order by rowid"  # noqa: S608


class Manifest:
    """The table. See `open_manifest`."""

    def __init__(self, path: Path, *, write: bool) -> None:
        mode = "rwc" if write else "ro"
        self._path = path
        with self._errors():
            self._table = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=PATIENCE_SECONDS
            )
            if write:
                self._table.execute("pragma journal_mode=wal")
                self._table.execute(_TABLE)
                self._table.execute(_MADE)
                self._table.execute(f"pragma user_version={LAYOUT}")
                self._table.commit()
            # a table of before 0.2 has paths as they were typed: here, where its job goes on
            self._typed = self._sources() if write else set()

    def _sources(self) -> set[str]:
        """Return the sources that are not spelled out."""
        found = self._table.execute("select source from songs")
        names = {str(_stored(name)) for (name,) in found}
        return {name for name in names if name != spelled_out(name)}

    def rows(self) -> dict[str, Row]:
        """Return all rows by their source, spelled out, in the order in which they came.

        Raises:
            SinkError: it is damaged, or of another layout.
        """
        with self._errors():
            (layout,) = self._table.execute("pragma user_version").fetchone()
            if layout != LAYOUT:
                raise sqlite3.DatabaseError(f"layout {layout}")
            found = [_row(values) for values in self._table.execute(_GET)]
        return {row.source: row for row in map(_spelled_out, found)}

    def put(self, *rows: Row) -> None:
        """Write rows, all or none, in place of those with their sources.

        Raises:
            SinkError: they cannot be written.
        """
        named = {spelled_out(row.source) for row in rows}
        typed = {name for name in self._typed if spelled_out(name) in named}
        with self._errors(), self._table:
            gone = [(_storable(name),) for name in typed]
            self._table.executemany("delete from songs where source = ?", gone)
            self._table.executemany(_PUT, map(_values, rows))
        self._typed -= typed

    def made(self, settings: str) -> tuple[str, tuple[str, ...]] | None:
        """Return the model's folder and the stems that settings gave, by their digest; or None.

        Raises:
            SinkError: it is damaged.
        """
        wanted = "select model, stems from made where settings = ?"
        with self._errors():
            found = self._table.execute(wanted, (settings,)).fetchone()
            return None if found is None else (found[0], tuple(json.loads(found[1])))

    def put_made(self, settings: str, model: str, stems: Sequence[str]) -> None:
        """Write what settings gave.

        Raises:
            SinkError: it cannot be written.
        """
        with self._errors(), self._table:
            values = (settings, model, json.dumps(list(stems)))
            self._table.execute("insert or replace into made values (?, ?, ?)", values)

    def close(self) -> None:
        """Close the file. Twice is fine."""
        self._table.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError, TypeError) as error:
            way_out = "name another folder with --job, or delete this one to begin the job again"
            if "full" in str(error):
                way_out = "free some space, and run the same command again"
            raise SinkError(
                f"the job's table {self._path} cannot be used ({error}); {way_out}"
            ) from None


@contextmanager
def open_manifest(folder: Path) -> Iterator[Manifest]:
    """Open a job's table to write in it; the folder is this run's alone until the end.

    Raises:
        SinkError: another run has it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise SinkError(
            f"another run works on the job in {folder}; wait for it, or name another with --job"
        ) from None
    except OSError as error:
        raise SinkError(
            f"the job's folder {folder} cannot be written ({error.strerror}); try --job"
        ) from None
    try:
        manifest = Manifest(folder / FILE, write=True)
        try:
            yield manifest
        finally:
            manifest.close()
    finally:
        lock.release()


def read_manifest(folder: Path) -> dict[str, Row]:
    """Return the rows of a job, which may be running.

    Raises:
        SinkError: there is none, or it is damaged.
    """
    if not (folder / FILE).is_file():
        raise SinkError(f"there is no job in {folder}; name its folder with --job")
    manifest = Manifest(folder / FILE, write=False)
    try:
        return manifest.rows()
    finally:
        manifest.close()


def _spelled_out(row: Row) -> Row:
    outputs = tuple(map(spelled_out, row.outputs))
    return replace(row, source=spelled_out(row.source), outputs=outputs)


def _values(row: Row) -> tuple[object, ...]:
    *values, outputs = astuple(_spelled_out(row))
    return (*map(_storable, values), json.dumps(outputs))


def _storable(value: object) -> object:
    """Return a value as SQLite takes it: a file's name need not be UTF-8."""
    if isinstance(value, str) and any("\ud800" <= sign <= "\udfff" for sign in value):
        return os.fsencode(value)
    return value


def _stored(value: object) -> object:
    return os.fsdecode(value) if isinstance(value, bytes) else value


def _row(values: tuple[Any, ...]) -> Row:
    named: dict[str, Any] = dict(zip(_COLUMNS, map(_stored, values), strict=True))
    named |= {"state": State(named["state"]), "outputs": tuple(json.loads(named["outputs"]))}
    return Row(**named)
