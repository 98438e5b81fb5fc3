"""Folders for what a worker has in hand: its own, and gone with it, also after ``kill -9``.

The folder of a worker that was killed is removed when the next one begins: a lock in it, which the
system frees, tells that nobody has it any more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

PREFIX: Final = "stemstream-batch-"
_LOCK: Final = "lock"


@contextmanager
def scratch() -> Iterator[Path]:
    """Give an empty folder in ``TMPDIR``, of this process alone, until the end.

    Raises:
        OSError: there is no room for one.
    """
    while True:
        outer = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = FileLock(outer / _LOCK)
        lock.acquire()
        if (outer / _LOCK).exists():  # else another process took it for one of a killed worker
            break
        lock.release()
    try:
        inner = outer / "work"
        inner.mkdir()
        yield inner
    finally:
        shutil.rmtree(outer, ignore_errors=True)
        lock.release()


def remove_stale() -> None:
    """Remove what killed workers of this user left on this machine."""
    for outer in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            own = not hasattr(os, "geteuid") or outer.lstat().st_uid == os.geteuid()
            if own and outer.is_dir() and (outer / _LOCK).exists():
                with FileLock(outer / _LOCK, timeout=0):
                    shutil.rmtree(outer, ignore_errors=True)
