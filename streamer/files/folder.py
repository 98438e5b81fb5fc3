"""Keep two runs out of one track's folder, and clean up after runs that were killed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from streamer.cache import private_folder
from streamer.errors import SinkError
from streamer.files.part import remove_own_parts, remove_stale_parts, sink_errors

_MOST_SECONDS: Final = 10.0
"""To wait for a run that takes a lock; it takes a moment, unless it is held up."""


@contextmanager
def track_lock(targets: Iterable[Path]) -> Iterator[None]:
    """Lock the files of a track for this run, and remove their stale part files.

    Each file has its own lock, since another run may write only some of them. A lock is a file in a
    folder of this user alone, named after the resolved output path. So output folders hold nothing
    but stems. The system frees the lock when the process ends, however it ends. After an exception
    the part files of this run are removed, too: also one of which nobody knew yet.

    Raises:
        SinkError: another run holds a lock, or there is no folder for locks.
    """
    with ExitStack() as locks:
        every = sorted(set(targets))
        for target in every:
            locks.enter_context(_file_lock(target))
        for target in every:
            remove_stale_parts(target)
        try:
            yield
        except BaseException:
            # Ctrl-C may come between the opening of a file and the moment when its maker has it
            for target in every:
                with suppress(SinkError):
                    remove_own_parts(target)
            raise


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    with sink_errors(path):
        # not Path.resolve, which has an error of its own for links in a circle
        key = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
    folder = _lock_folder()
    # Nobody takes a lock while another removes one: who had opened the file that goes would hold a
    # lock that nobody else sees.
    alone = FileLock(folder / "every.lock", timeout=_MOST_SECONDS)
    with sink_errors(folder):
        lock = FileLock(folder / f"{key}.lock")
        try:
            with alone:
                lock.acquire(timeout=0)
        except Timeout:
            raise SinkError(
                f"Another run is writing {path}; wait for it or choose another folder with --out"
            ) from None
    try:
        yield
    finally:
        # one that stays is in nobody's way
        with suppress(OSError, Timeout), alone:
            Path(lock.lock_file).unlink()
        lock.release()


def _lock_folder() -> Path:
    try:
        return private_folder("locks")
    except OSError:
        raise SinkError(
            "There is no folder of yours for locks: your cache folder cannot be written to, nor "
            "can /tmp; free some space, or set XDG_CACHE_HOME to a folder of yours"
        ) from None
