"""Write the project that opens a track's stems in a DAW."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from streamer.files.encode.sink import FileOutput
from streamer.files.project.contents import Project
from streamer.files.project.kinds import KINDS
from streamer.settings import ProjectKind


class ProjectFile(FileOutput):
    """The file of a project, which is complete only when its length and gain are known.

    Raises:
        OutputExistsError: the file exists and ``overwrite`` is not set.
        SinkError: it cannot be opened for writing, or cannot name the stems' files.
    """

    def __init__(
        self, path: Path, kind: ProjectKind, project: Project, *, overwrite: bool = False
    ) -> None:
        self._made_of = KINDS[kind].made_of
        self._project = project
        text = self._made_of(project)  # what cannot be named is told before the work
        super().__init__(path, overwrite=overwrite)
        self._text = self._encoder = _Text(self._part.file, text)

    def complete(self, frames: int, gain: float) -> None:
        """Tell the length of the stems, and the factor that they all have got."""
        self._text.text = self._made_of(replace(self._project, frames=frames, gain=gain))


class _Text:
    """A text that goes to a file at its end; see `Encoder`."""

    def __init__(self, file: BinaryIO, text: bytes) -> None:
        self._file = file
        self.text = text

    def close(self) -> None:
        self._file.write(self.text)

    def drop(self) -> None:
        pass
