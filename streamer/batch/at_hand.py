"""A song and its stems on this machine, wherever they belong.

From a store the song comes into a temporary file, and to a store the stems go when all are whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from streamer.batch import store
from streamer.batch.scratch import scratch
from streamer.errors import SinkError, StemstreamError
from streamer.naming import FileName, is_address


@contextmanager
def at_hand(source: str, out: str, *, replace: bool) -> Iterator[tuple[str, Path]]:
    """Give a song's path and a folder to write its stems to; at the end they are where they belong.

    ``source`` and ``out`` are paths or addresses; with ``replace`` the stems may be there already.

    Raises:
        StemstreamError: the song cannot be fetched, or the stems cannot be put.
    """
    if not is_address(source) and not is_address(out):
        yield source, Path(out)
        return
    with _room() as folder:
        path, stems = source, Path(out)
        belongs = {}
        if is_address(source):
            path = str(folder / FileName(source.rpartition("/")[2]))
            belongs[path] = source
        if is_address(out):
            stems = folder / "stems"
            belongs[str(stems)] = "TMPDIR"  # where the disk is full, it is this one and no store
        try:
            if is_address(source):
                store.fetch(source, Path(path))
            yield path, stems
            if is_address(out):
                files = sorted(file for file in stems.rglob("*") if file.is_file())
                targets = {file: f"{out}/{file.relative_to(stems).as_posix()}" for file in files}
                store.put(targets, replace=replace)
        except StemstreamError as error:
            told = str(error)
            for here, name in belongs.items():  # the temporary names say nothing to anybody
                told = told.replace(here, name)
            raise type(error)(told) from None


@contextmanager
def _room() -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch())
        except OSError as error:
            raise SinkError(
                f"the folder for temporary files cannot be used ({error.strerror}); name another "
                "one in TMPDIR"
            ) from None
        yield folder
