"""Places in a song that have a name, and its tempo, as its file tells them."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

MOST_MARKS: Final = 1000
MARK_CHUNKS: Final = (b"cue ", b"LIST")
"""The chunks of a WAV that hold its cue points and their names."""

_TEMPO_TAGS: Final = ("bpm", "tempo", "tbpm", "tmpo")
_TEMPOS: Final = (10.0, 960.0)
_NUMBER: Final = re.compile(r"\s*([0-9]{1,4}(?:[.,][0-9]{1,9})?)(?![0-9])")
_CUE: Final = struct.Struct("<I4x4s4x4xI")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a song, ``seconds`` after its beginning."""

    seconds: float
    name: str = ""


def tempo_of(tags: Mapping[str, str]) -> float | None:
    """Return the tempo that tags tell, in beats per minute; None where they tell none."""
    for tag in _TEMPO_TAGS:
        told = _NUMBER.match(tags.get(tag, ""))
        if told is not None:
            tempo = float(told[1].replace(",", "."))
            if _TEMPOS[0] <= tempo <= _TEMPOS[1]:
                return tempo
    return None


def cue_points(chunks: Iterable[tuple[bytes, bytes]], samplerate: int) -> list[Mark]:
    """Return the cue points of a WAV, from the kinds and bodies of its `MARK_CHUNKS`."""
    frames: dict[int, int] = {}
    names: dict[int, str] = {}
    for kind, body in chunks:
        if kind == b"cue ":
            points = body[4 : 4 + (len(body) - 4) // _CUE.size * _CUE.size]
            for number, chunk, frame in _CUE.iter_unpack(points):
                if chunk == b"data" and len(frames) < MOST_MARKS:
                    frames[number] = frame
        elif body.startswith(b"adtl"):
            names.update(_labels(body[4:]))
    marks = (Mark(frame / samplerate, names.get(number, "")) for number, frame in frames.items())
    return sorted(marks, key=lambda mark: mark.seconds)


def _labels(body: bytes) -> Iterator[tuple[int, str]]:
    while len(body) >= 12:
        kind, size, number = struct.unpack_from("<4sII", body)
        if kind == b"labl":
            text = body[12 : 8 + size].split(b"\0")[0]
            yield number, text.decode("utf-8", "replace")
        body = body[8 + size + size % 2 :]


def chapters(told: Iterable[Mapping[str, Any]]) -> list[Mark]:
    """Return chapters as FFmpeg tells them; those that make no sense are left out."""
    marks = []
    for one in [*told][:MOST_MARKS]:
        seconds = float(one["start"] * Fraction(one["time_base"]))
        if math.isfinite(seconds) and seconds >= 0:
            marks.append(Mark(seconds, str(one["metadata"].get("title", ""))))
    return sorted(marks, key=lambda mark: mark.seconds)
