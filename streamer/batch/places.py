"""Where the stems of a job go: a folder of this machine, or what lies below an address of a store.

Both are laid out the same. In both, a file appears when it is whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import Protocol

from streamer.batch import store
from streamer.files import refuse_inputs
from streamer.files.folder import track_lock
from streamer.files.part import PartFile, sink_errors, stands
from streamer.naming import is_address


class Place(Protocol):
    """Where stems go. A file of it is named by text: a path, or an address."""

    def join(self, below: PurePath) -> str:
        """Return the name of a file, or of a folder, that lies below it."""
        ...

    def holds(self, source: str) -> bool:
        """Return whether a song lies below it."""
        ...

    def has(self, name: str) -> bool:
        """Return whether a file was there when the job began, or is there now."""
        ...

    def stands(self, name: str) -> bool:
        """Return whether anything has this name now.

        Raises:
            SinkError: it cannot be told.
        """
        ...

    def copy(self, names: Sequence[str], targets: Sequence[str], *, replace: bool) -> None:
        """Copy files of it. They appear when they are whole.

        Raises:
            SinkError: one cannot be read or written.
        """
        ...

    def refuse_inputs(self, sources: Collection[str], names: Collection[str]) -> None:
        """Make sure that no file of it is also a song.

        Raises:
            OutputExistsError: one is.
        """
        ...

    def free_bytes(self) -> int | None:
        """Return how much room is left; None: nobody knows."""
        ...


def place_of(out: str) -> Place:
    """Return the place that a path or an address names.

    Raises:
        SinkError: it is a store that cannot be read.
    """
    return Bucket(out) if is_address(out) else Folder(Path(out))


class Folder:
    """A folder of this machine. See `Place`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def join(self, below: PurePath) -> str:
        """See `Place.join`."""
        return str(self._root / below)

    def holds(self, source: str) -> bool:
        """See `Place.holds`."""
        if is_address(source):
            return False
        # not Path.resolve, which has an error of its own for links in a circle
        return Path(os.path.realpath(source)).is_relative_to(os.path.realpath(self._root))

    def has(self, name: str) -> bool:
        """See `Place.has`."""
        return Path(name).is_file()

    def stands(self, name: str) -> bool:
        """See `Place.stands`."""
        return stands(Path(name))

    def copy(self, names: Sequence[str], targets: Sequence[str], *, replace: bool) -> None:
        """See `Place.copy`. All appear, or none."""
        with ExitStack() as stack:
            stack.enter_context(track_lock(map(Path, targets)))
            parts = []
            for name, target in zip(names, map(Path, targets), strict=True):
                parts.append(PartFile(target, overwrite=replace))
                stack.callback(parts[-1].discard)
                parts[-1].open()
                with sink_errors(target), Path(name).open("rb") as file:
                    shutil.copyfileobj(file, parts[-1].file)
            try:
                for part in parts:
                    with sink_errors(part.target):
                        part.publish()
            except BaseException:
                for part in parts:
                    part.retract()
                raise

    def refuse_inputs(self, sources: Collection[str], names: Collection[str]) -> None:
        """See `Place.refuse_inputs`."""
        here = [source for source in sources if not is_address(source)]
        refuse_inputs(here, map(Path, names))

    def free_bytes(self) -> int | None:
        """See `Place.free_bytes`."""
        folder = self._root
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return shutil.disk_usage(folder).free


class Bucket:
    """What lies below an address. See `Place`; it is listed once, at the beginning.

    Raises:
        SinkError: there is no such bucket, or it cannot be read.
    """

    def __init__(self, address: str) -> None:
        self._root = address.rstrip("/")
        self._there = store.addresses_below(self._root)

    def join(self, below: PurePath) -> str:
        """See `Place.join`."""
        return "/".join([self._root, *below.parts])

    def holds(self, source: str) -> bool:
        """See `Place.holds`."""
        return source.startswith(f"{self._root}/")

    def has(self, name: str) -> bool:
        """See `Place.has`."""
        return name in self._there

    def stands(self, name: str) -> bool:
        """See `Place.stands`."""
        return store.stands(name)

    def copy(self, names: Sequence[str], targets: Sequence[str], *, replace: bool) -> None:
        """See `Place.copy`. The store copies them itself."""
        store.copy(dict(zip(names, targets, strict=True)), replace=replace)

    def refuse_inputs(self, sources: Collection[str], names: Collection[str]) -> None:
        """See `Place.refuse_inputs`. None can be: what it `holds` is no song of the job."""

    def free_bytes(self) -> int | None:
        """See `Place.free_bytes`."""
        return None
