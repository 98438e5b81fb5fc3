"""A project of Reaper (``.rpp``): a text of nested blocks, one line a value.

Cockos describes the format by its own files; the values here are those that Reaper 6 and 7 write.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from streamer.errors import SinkError
from streamer.files.project.contents import Project, ProjectTrack

_QUOTES: Final = ('"', "'", "`")
_USUAL_TEMPO: Final = 120.0
_OWN_COLOUR: Final = 0x1000000


def rpp(project: Project) -> bytes:
    """Return the file of a project.

    Raises:
        SinkError: the name of a stem's file cannot be written in one.
    """
    lines = ['<REAPER_PROJECT 0.1 "7.0" 0', *_inside(project), ">", ""]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def files_of(text: bytes) -> list[PurePath]:
    """Return the files that a project opens, as it names them; see `rpp`."""
    lines = (line.strip() for line in text.decode("utf-8", "surrogateescape").splitlines())
    names = (line.removeprefix("FILE ") for line in lines if line.startswith("FILE "))
    return [PurePath(name[1:].rpartition(name[0])[0]) for name in names if name[0] in _QUOTES]


def _inside(project: Project) -> Iterator[str]:
    yield f"  SAMPLERATE {project.samplerate} 1 0"
    yield f"  TEMPO {project.tempo or _USUAL_TEMPO:.10g} 4 4"
    within = (mark for mark in project.marks if mark.seconds < project.seconds)
    for number, mark in enumerate(within, start=1):
        yield f"  MARKER {number} {_seconds(mark.seconds)} {_quoted(mark.name)} 0"
    for track in project.tracks:
        yield from _track(project, track)


def _track(project: Project, track: ProjectTrack) -> Iterator[str]:
    name = _quoted(track.name)
    yield from (
        "  <TRACK",
        f"    NAME {name}",
        f"    PEAKCOL {_colour(track.colour)}",
        f"    VOLPAN {1 / project.gain:.10g} 0 -1 -1 1",
        f"    NCHAN {max(2, project.channels + project.channels % 2)}",
        "    <ITEM",
        "      POSITION 0",
        f"      LENGTH {_seconds(project.seconds)}",
        "      LOOP 0",
        f"      NAME {name}",
        "      SOFFS 0",
        "      <SOURCE WAVE",
        f"        FILE {_file(track.file)}",
        "      >",
        "    >",
        "  >",
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.9f}"


def _colour(rgb: int) -> int:
    """Return a colour as Windows has it, with red in the lowest bits."""
    red, green, blue = rgb >> 16, rgb >> 8 & 0xFF, rgb & 0xFF
    return _OWN_COLOUR | blue << 16 | green << 8 | red


def _quoted(text: str) -> str:
    """Return a text for one line: nothing in it can end the line or the text."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    mark = next((mark for mark in _QUOTES if mark not in plain), None)
    if mark is None:
        mark, plain = "`", plain.replace("`", "'")
    return f"{mark}{plain}{mark}"


def _file(path: PurePath) -> str:
    text = path.as_posix()
    mark = next((mark for mark in _QUOTES if mark not in text), None)
    if mark is None or any(unicodedata.category(sign) == "Cc" for sign in text):
        raise SinkError(
            f"a Reaper project cannot name the file {text!a}: a name in it has a line break, or "
            "all of \" ' `; rename the song, or choose other names with --filename"
        )
    return f"{mark}{text}{mark}"
