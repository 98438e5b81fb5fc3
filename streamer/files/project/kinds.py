"""The kinds of projects that can be written, by the name that the setting has for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from streamer.files.project.contents import Project
from streamer.files.project.reaper import rpp
from streamer.settings import ProjectKind


class Kind(NamedTuple):
    """How the files of a kind end, and what makes one."""

    suffix: str
    made_of: Callable[[Project], bytes]


KINDS: Final[Mapping[ProjectKind, Kind]] = {"reaper": Kind(".rpp", rpp)}
