"""The kinds of projects that can be written, by the name that the setting has for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Final, NamedTuple

from streamer.files.project.contents import Project
from streamer.files.project.reaper import files_of, rpp
from streamer.settings import ProjectKind


class Kind(NamedTuple):
    """How the files of a kind end, what makes one, and what tells the files that one opens."""

    suffix: str
    made_of: Callable[[Project], bytes]
    files_of: Callable[[bytes], Sequence[PurePath]]


KINDS: Final[Mapping[ProjectKind, Kind]] = {"reaper": Kind(".rpp", rpp, files_of)}
