"""The project beside a take's stems, which opens them in a DAW: right at every moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final

from streamer.files.project.contents import Project, ProjectTrack
from streamer.files.project.kinds import KINDS
from streamer.settings import ProjectKind

_FILE_MODE: Final = 0o666


class TakeProject:
    """The project of a take in ``folder``, called as the folder is.

    It is held open, since someone may give the folder another name while the take is recorded.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        kind: ProjectKind,
        names: Sequence[str],
        samplerate: int,
        channels: int,
    ) -> None:
        tracks = [ProjectTrack(name, PurePath(f"{name}.wav")) for name in names]
        self._project = Project(tracks, samplerate, channels)
        self._made_of = KINDS[kind].made_of
        path = folder / f"{folder.name}{KINDS[kind].suffix}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        try:
            self.update(0)
        except BaseException:
            os.close(self._file)
            raise

    def update(self, frames: int) -> None:
        """Tell how long the stems are now: never shorter than before, so one write is enough.

        Raises:
            OSError: it cannot be written.
        """
        text = self._made_of(replace(self._project, frames=frames))
        if os.pwrite(self._file, text, 0) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self, frames: int) -> None:
        """Tell how long the stems are in the end, and close the file.

        Raises:
            OSError: it cannot be written.
        """
        try:
            self.update(frames)
            os.fsync(self._file)
        finally:
            os.close(self._file)
