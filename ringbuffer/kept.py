"""Files that a program keeps for its next run, read only if they are as it wrote them.

A cache lies where other programs, a failing disk or other users may get at it. What is read from it
must be a regular file of this user's (or root's), never a link, a pipe or a device, and end with
its own checksum::

    write_sealed(path, body)    # whole or not at all
    body = read_sealed(path)    # ValueError where a byte is not as it was written
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from io import BufferedReader
from pathlib import Path

_SEAL = b"\nsha256 "
_SEAL_BYTES = len(_SEAL) + 64 + 1
# Windows has none of these flags, nor links that anybody may make
_CAREFULLY = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


def seal(body: bytes) -> bytes:
    """Return a body with its checksum after it."""
    return body + _SEAL + hashlib.sha256(body).hexdigest().encode() + b"\n"


def unseal(data: bytes) -> bytes:
    """Return the body of what `seal` gave.

    Raises:
        ValueError: it is not what `seal` gave.
    """
    body = data[:-_SEAL_BYTES]
    if seal(body) != data:
        raise ValueError("expected sealed data, got other bytes")
    return body


def open_own(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file of this user's for reading; it does not wait, as for a pipe's writer.

    Raises:
        OSError: there is none, it is another user's or no regular file, or it cannot be read.
    """
    file = os.fdopen(os.open(path, _CAREFULLY), "rb")
    try:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not is_own(status):
            raise PermissionError(f"expected a regular file of one's own, got {path}")
    except BaseException:
        file.close()
        raise
    return file


def is_own(status: os.stat_result) -> bool:
    """Return whether a file is this user's, or root's, who is trusted anyway."""
    return not hasattr(os, "geteuid") or status.st_uid in (os.geteuid(), 0)


def read_sealed(path: str | os.PathLike[str]) -> bytes:
    """Return the body of a sealed file.

    Raises:
        OSError: see `open_own`.
        ValueError: it is damaged.
    """
    with open_own(path) as file:
        return unseal(file.read())


def write_sealed(path: Path, body: bytes) -> None:
    """Write a sealed file in place of what is there, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(seal(body))
        part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
