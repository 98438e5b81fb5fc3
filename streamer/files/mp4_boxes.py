"""The ``stem`` box of a stem file: JSON in moov/udta that names and colours its four stems.

Source: Native Instruments, "Stem File Specification" 1.0.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

# The order of the stems in a file that does not tell, and in those we write.
STEM_NAMES = ("drums", "bass", "other", "vocals")

# The palette of Okabe and Ito, which the colour-blind can tell apart.
_COLOURS = {"drums": "#009E73", "bass": "#D55E00", "other": "#CC79A7", "vocals": "#56B4E9"}

# What a player does to the sum of the stems when they are changed: here, nothing.
_MASTERING = {
    "compressor": {
        "enabled": False,
        "ratio": 3,
        "threshold": 0,
        "attack": 0.003,
        "release": 0.3,
        "input_gain": 0.5,
        "output_gain": 0.5,
        "hp_cutoff": 300,
        "dry_wet": 50,
    },
    "limiter": {"enabled": False, "threshold": 0, "ceiling": -0.35, "release": 0.05},
}


# It holds four names and colours, and some settings.
_MOST_STEM_BYTES = 1_000_000


class Box(NamedTuple):
    """One box: its type and where its header, body and end stand in the file."""

    kind: bytes
    start: int
    body: int
    end: int


def read_stem_names(path: Path) -> list[str]:
    """Return the stems' names in the file; empty if it has no ``stem`` box."""
    with path.open("rb") as file:
        box = _find(file, [b"moov", b"udta", b"stem"])
        if box is None or box.end - box.body > _MOST_STEM_BYTES:
            return []
        file.seek(box.body)
        try:
            told = json.loads(file.read(box.end - box.body))
            return [str(stem["name"]) for stem in told["stems"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            return []


def add_stem_box(path: Path) -> None:
    """Add the ``stem`` box to a finished MP4 whose moov box stands last, as FFmpeg writes it.

    Raises:
        OSError: the file cannot be written.
    """
    stems = [{"name": name, "color": _COLOURS[name]} for name in STEM_NAMES]
    told = {"mastering_dsp": _MASTERING, "version": 1, "stems": stems}
    text = json.dumps(told).encode()
    stem = struct.pack(">I4s", 8 + len(text), b"stem") + text
    with path.open("r+b") as file:
        moov = _find(file, [b"moov"])
        udta = _find(file, [b"moov", b"udta"])
        file.seek(0, 2)
        assert moov is not None, "no moov box"
        assert moov.end == file.tell(), "the moov box is not last"
        at = moov.end if udta is None else udta.end
        added = stem if udta else struct.pack(">I4s", 8 + len(stem), b"udta") + stem
        file.seek(at)
        rest = file.read()
        file.seek(at)
        file.write(added + rest)
        for box in (moov, udta):
            if box is not None:
                file.seek(box.start)
                file.write(struct.pack(">I", box.end - box.start + len(added)))


def _find(file: BinaryIO, kinds: Sequence[bytes]) -> Box | None:
    """The first box of each kind inside the one before, or None."""
    file.seek(0, 2)
    found = Box(b"", 0, 0, file.tell())
    for kind in kinds:
        inner = next((box for box in _boxes(file, found) if box.kind == kind), None)
        if inner is None:
            return None
        found = inner
    return found


def _boxes(file: BinaryIO, outer: Box) -> Iterator[Box]:
    start = outer.body
    while start + 8 <= outer.end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        body = start + 8
        if size == 1:
            if start + 16 > outer.end:
                return
            size, body = struct.unpack(">Q", file.read(8))[0], start + 16
        end = outer.end if size == 0 else start + size
        if not body <= end <= outer.end:
            return
        yield Box(kind, start, body, end)
        start = end
