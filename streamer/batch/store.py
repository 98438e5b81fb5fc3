"""Songs and stems in object stores: all that fsspec reaches by an address, as ``s3://bucket/key``.

::

    for found in listed("s3://music/albums/**/*.flac"):
        fetch(found.address, path)                           # a file of this machine
    put({path: "s3://stems/one/vocals.wav"}, replace=False)  # a key appears when it is whole

No name of a key becomes a path here: who makes a path of one checks it (`songs`).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from streamer.batch.reach import open_store, patiently, told
from streamer.errors import (
    OutputExistsError,
    SettingsError,
    SinkError,
    SourceError,
    StemstreamError,
)

PUBLISHES_WHOLE: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""Stores in which an object appears when all of it is there; elsewhere it is renamed then."""
SUMS: Final = ("ETag", "md5Hash")
DATES: Final = ("LastModified", "last_modified", "mtime", "updated", "created")
"""What libraries call a digest of what is in an object, and the time when it was written."""
_MAGIC: Final = re.compile(r"[*?\[]")
_BLOCK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """What tells one content from another: bytes, when it was written, and its digest, if known."""

    bytes: int = 0
    modified_ns: int = 0
    content: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """An object of a listing; ``below`` is its key below the folder that was named, or matched."""

    address: str
    below: str
    seen: Seen


def listed(address: str) -> Iterator[Found]:
    """Yield the object of that address, or all below it, or all that match a pattern, in order.

    Raises:
        SourceError: nothing is there, or the store cannot be read.
        SettingsError: there is no such store.
    """
    address = address.rstrip("/")
    info = _info(address, SourceError)
    if info is None and _MAGIC.search(address):
        yield from _matching(address)
    elif info is None:
        raise SourceError(told(FileNotFoundError(), address))
    elif info["type"] == "directory":
        yield from _below(address)
    else:
        yield Found(address, address.rpartition("/")[2], _seen(info))


def _matching(address: str) -> Iterator[Found]:
    base = _MAGIC.split(address)[0].rpartition("/")[0]
    if not base.partition("://")[2]:
        raise SettingsError(f"{address} must begin with a whole bucket; only keys take patterns")
    start = _key(base)
    for key, info in sorted(_reading(address, "glob", detail=True).items()):
        rest = _rest(start, key)
        if info["type"] == "directory":
            yield from _below(base + rest)
        else:
            yield Found(base + rest, rest.rpartition("/")[2], _seen(info))


def _below(address: str) -> Iterator[Found]:
    start = _key(address)
    for key, info in sorted(_reading(address, "find", detail=True).items()):
        if info.get("type", "file") == "file" and not key.endswith("/"):
            rest = _rest(start, key)
            yield Found(address + rest, rest[1:], _seen(info))


def look(address: str) -> Seen:
    """Return what is to be seen of an object.

    Raises:
        SourceError: it is not there, or cannot be read.
    """
    return _seen(_reading(address, "info"))


def digest(address: str) -> str:
    """Return the SHA-256 of an object, which is read for it.

    Raises:
        SourceError: it cannot be read.
    """

    def sum_up(store: Any, key: str) -> str:
        sums = hashlib.sha256()
        with store.open(key, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                sums.update(block)
        return sums.hexdigest()

    return patiently(address, SourceError, sum_up)


def read(address: str) -> bytes:
    """Return all of a small object.

    Raises:
        SourceError: it cannot be read.
    """
    return bytes(_reading(address, "cat_file"))


def fetch(address: str, path: Path) -> None:
    """Copy an object to a file of this machine.

    Raises:
        SourceError: it cannot be read.
    """

    def get(store: Any, key: str) -> None:
        store.get_file(key, str(path))
        if path.stat().st_size != store.info(key)["size"]:
            raise ConnectionError("only a part of it came")

    patiently(address, SourceError, get)


def addresses_below(address: str) -> frozenset[str]:
    """Return the addresses of all objects below one.

    Raises:
        SinkError: there is no such bucket, or it cannot be read.
    """
    start = _key(address)
    keys = patiently(address, SinkError, lambda store, key: store.find(key))
    return frozenset(address + _rest(start, key) for key in keys)


def stands(address: str, kind: type[StemstreamError] = SinkError) -> bool:
    """Return whether there is an object of that address.

    Raises:
        StemstreamError: of that kind, if the store cannot be asked.
    """
    return _info(address, kind) is not None


def put(files: Mapping[Path, str], *, replace: bool) -> None:
    """Copy files of this machine to a store. Each appears when it is whole.

    Raises:
        OutputExistsError: an object is there that is not to be replaced.
        SinkError: one cannot be written; those before it stay.
    """
    sources = {target: str(path) for path, target in files.items()}
    _write_all("put_file", sources, replace=replace)


def copy(addresses: Mapping[str, str], *, replace: bool) -> None:
    """Copy objects within a store, from address to address. Each appears when it is whole.

    Raises:
        OutputExistsError: an object is there that is not to be replaced.
        SinkError: one cannot be written; those before it stay.
    """
    sources = {target: _key(old) for old, target in addresses.items()}
    _write_all("cp_file", sources, replace=replace)


def _write_all(method: str, sources: Mapping[str, str], *, replace: bool) -> None:
    """Write objects, by their addresses. None is taken back: it may be another writer's by then."""
    for target, source in sources.items():
        if not replace and stands(target):
            raise OutputExistsError(f"{target} exists; --overwrite replaces it")
        patiently(target, SinkError, partial(_write, method=method, source=source))


def _write(store: Any, key: str, method: str, source: str) -> None:
    """Have a method of the file system write an object from a source; it appears when whole."""
    names = {store.protocol} if isinstance(store.protocol, str) else {*store.protocol}
    if PUBLISHES_WHOLE & names:
        getattr(store, method)(source, key)
        return
    _remove_stale_parts(store, key)
    part = f"{key}.{secrets.token_hex(4)}.part"
    try:
        getattr(store, method)(source, part)
        store.mv(part, key)
    except BaseException:
        with contextlib.suppress(Exception):
            store.rm_file(part)
        raise


def _remove_stale_parts(store: Any, key: str) -> None:
    """Make the folder of a key; remove the parts of it that killed runs have left there."""
    folder, _, name = key.rpartition("/")
    store.makedirs(folder, exist_ok=True)
    for other in store.ls(folder, detail=False):
        rest = str(other).rpartition("/")[2].removeprefix(f"{name}.")
        if re.fullmatch(r"[0-9a-f]{8}\.part", rest):
            store.rm_file(other)


def _info(address: str, kind: type[StemstreamError]) -> Mapping[str, Any] | None:
    """Return what a store tells of an object or a folder; None if there is none."""

    def ask(store: Any, key: str) -> Mapping[str, Any] | None:
        try:
            seen: Mapping[str, Any] = store.info(key)
        except FileNotFoundError:
            return None
        return seen

    return patiently(address, kind, ask)


def _reading(address: str, method: str, **options: Any) -> Any:
    return patiently(
        address, SourceError, lambda store, key: getattr(store, method)(key, **options)
    )


def _key(address: str) -> str:
    return open_store(address)[1].rstrip("/")


def _rest(start: str, key: str) -> str:
    """Return what follows the start in a key, from the slash on."""
    return key.removeprefix(start) if key.startswith(f"{start}/") else f"/{key}"


def _seen(info: Mapping[str, Any]) -> Seen:
    size = int(info.get("size") or 0)
    sums = next((str(info[name]).strip('"') for name in SUMS if info.get(name)), "")
    date = next((info[name] for name in DATES if info.get(name)), 0)
    return Seen(size, _nanoseconds(date), f"store:{sums}:{size}" if sums else "")


def _nanoseconds(date: object) -> int:
    if isinstance(date, str):
        with contextlib.suppress(ValueError):
            date = datetime.fromisoformat(date)
    if isinstance(date, datetime):
        date = date.timestamp()
    return int(date * 1e9) if isinstance(date, int | float) else 0
