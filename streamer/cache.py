"""What is kept between runs in the user's cache folder: small values, and folders of files.

Nothing here is essential. A file that is damaged, another user's or of another layout counts as
missing. If the folder is missing or cannot be written, nothing is kept. All that is kept goes
through here, so all of it has checksums (`ringbuffer.kept`)::

    JsonStore         a value of JSON for each subject
    keep, is_intact   a folder with files that a library reads by their paths
    remove_unused     takes away those that nobody used for long, and those that are too much
    digest            the checksum of a large file
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import platform
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ringbuffer.kept import is_own, open_own, read_sealed, write_sealed
from streamer.user_folders import cache_folder

SUMS: Final = "checksums"
"""The file in a kept folder with the checksums of the other files; its date is that of the last
use."""
OLD_SECONDS: Final = 30 * 24 * 3600.0
RECENT_SECONDS: Final = 24 * 3600.0


def private_folder(kind: str) -> Path:
    """Return a folder of this user alone, in the cache or in ``/tmp``; make it if needed.

    It ignores TMPDIR, so all runs of a user find the same folder.

    Raises:
        OSError: there is no such folder, and it cannot be made.
    """
    folders = [cache_folder(kind)]
    if hasattr(os, "geteuid"):
        shared = Path("/tmp")  # noqa: S108 (whose folder there it is, is looked at)
        folders.append(shared / f"stemstream-{os.geteuid()}-{kind}")
    for folder in folders:
        with contextlib.suppress(OSError):
            if folder is not None and _made_private(folder):
                return folder
    raise OSError(errno.EACCES, "there is no folder of one's own")


def _made_private(folder: Path) -> bool:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()  # another user may have been there first, with a link
    if not stat.S_ISDIR(status.st_mode):
        return False
    if hasattr(os, "geteuid"):
        if status.st_uid != os.geteuid():
            return False
        if stat.S_IMODE(status.st_mode) != 0o700:
            folder.chmod(0o700)
    return os.access(folder, os.W_OK)


def machine() -> str:
    """Return a description of this machine, since machines may share a home folder."""
    return f"{platform.system()} {platform.machine()}, {_processor()}, {processors()} cores"


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class JsonStore:
    """Values, each kept under its subject: any JSON object that says what was measured.

    Args:
        folder: where the files are; None: nothing is kept.
        layout: a number to raise when the meaning of the stored values changes.
    """

    def __init__(self, folder: Path | None, layout: int) -> None:
        self._folder = folder
        self._layout = layout

    def read(self, identity: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was kept; empty if nothing was kept, or if it is damaged."""
        path = self._path(identity)
        if path is None:
            return {}
        try:
            stored = json.loads(read_sealed(path))
            wanted = {"layout": self._layout, "identity": _plain(identity)}
            found = {name: stored[name] for name in wanted}
            return dict(stored["value"]) if found == wanted else {}
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return {}

    def write(self, identity: Mapping[str, Any], value: Mapping[str, Any]) -> None:
        """Keep a value; it replaces the old one."""
        path = self._path(identity)
        if path is None:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            stored = {"layout": self._layout, "identity": _plain(identity), "value": value}
            if path.is_dir():  # which no file can replace
                remove(path)
            write_sealed(path, json.dumps(stored, indent=1).encode())

    def _path(self, identity: Mapping[str, Any]) -> Path | None:
        if self._folder is None:
            return None
        text = json.dumps(identity, sort_keys=True)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def keep(folder: Path, identity: str, fill: Callable[[Path], None]) -> None:
    """Make a folder of kept files, whole or not at all. It replaces what is there.

    Args:
        folder: its path.
        identity: what the files are; give the same to `is_intact`.
        fill: writes the files into the folder that it is given. The folder is renamed afterwards.

    Raises:
        OSError: it cannot be written, or the old folder cannot be removed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}.", suffix=".part"))
    try:
        fill(part)
        sums = {"identity": identity, "sums": {one.name: digest(one) for one in part.iterdir()}}
        write_sealed(part / SUMS, json.dumps(sums, indent=1).encode())
        remove(folder)
        try:
            part.rename(folder)
        except OSError:
            if not is_intact(folder, identity):  # else another process was faster
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def is_intact(folder: Path, identity: str) -> bool:
    """Return whether `keep` made this folder with this identity, and no file has changed."""
    try:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or not is_own(status):
            return False
        stored = json.loads(read_sealed(folder / SUMS))
        there = {one.name for one in folder.iterdir()} - {SUMS}
        sums = {name: digest(folder / name) for name in there}
        return bool(stored == {"identity": identity, "sums": sums})
    except (OSError, ValueError, RecursionError):
        return False


def note_use(folder: Path) -> None:
    """Note that a kept folder is used now, so that `remove_unused` spares it."""
    with contextlib.suppress(OSError):
        os.utime(folder / SUMS)


def remove_unused(folders: Iterable[Path], most_bytes: int, now: float) -> None:
    """Remove those of these folders that nobody has used for long, or that are too much.

    A folder that was not used for `OLD_SECONDS` goes. Then go the ones that were used longest ago,
    until at most ``most_bytes`` are left. What was used within `RECENT_SECONDS` stays in any case.
    Files and links among them stay, too. ``now`` is in seconds since 1970.
    """
    uses = [_Use.of(folder) for folder in folders if folder.is_dir() and not folder.is_symlink()]
    total = sum(use.bytes for use in uses)
    for use in sorted(uses):
        age = now - use.used_at
        if age > OLD_SECONDS or (total > most_bytes and age > RECENT_SECONDS):
            remove(use.folder)
            total -= use.bytes


@dataclass(frozen=True, order=True)
class _Use:
    """When a folder was used last, in seconds since 1970, and how much it holds."""

    used_at: float
    bytes: int
    folder: Path

    @classmethod
    def of(cls, folder: Path) -> _Use:
        # one without checksums is being made, or an older version of this program made it
        dated = folder / SUMS if (folder / SUMS).exists() else folder
        try:
            size = sum(one.lstat().st_size for one in folder.rglob("*"))
            return cls(dated.lstat().st_mtime, size, folder)
        except OSError:
            return cls(math.inf, 0, folder)  # another process is at work there


def digest(path: Path) -> str:
    """Return the SHA-256 of a regular file of this user; it reads 1.6 GB a second.

    Raises:
        OSError: see `open_own`.
    """
    with open_own(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(path: Path) -> None:
    """Remove a folder, a file or a link, as far as possible."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(path.lstat().st_mode):
            path.chmod(0o700)  # one that cannot be read cannot be emptied
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _plain(identity: Mapping[str, Any]) -> Any:
    """Return an identity as JSON gives it back, where a tuple is a list."""
    return json.loads(json.dumps(identity))


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor()
