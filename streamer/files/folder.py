"""Keep two runs out of one track's folder, and clean up after runs that were killed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from streamer.errors import SinkError
from streamer.files.part import remove_stale_parts, sink_errors


@contextmanager
def track_lock(path: Path, targets: Iterable[Path] = ()) -> Iterator[None]:
    """Hold the sole right to write a track, and remove stale part files of its ``targets``.

    The lock is a file in the temporary folder, named after the resolved output path, so that output
    folders hold nothing but stems. The system lets go of it when the process ends, however it ends.

    Raises:
        SinkError: another run holds it, or the temporary folder cannot be written.
    """
    from filelock import FileLock, Timeout

    key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"stemstream-locks-{user}"
    with sink_errors(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = FileLock(folder / f"{key}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise SinkError(
                f"Another run is writing {path}; wait for it or choose another folder with --out"
            ) from None
    try:
        for target in targets:
            remove_stale_parts(target)
        yield
    finally:
        lock.release()
