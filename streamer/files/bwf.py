"""The bext chunk, which makes a WAV a Broadcast Wave: when its sound begins, and who made it.

EBU Tech 3285, version 1; the coding history is that of EBU R98. Its texts are ASCII.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from streamer.settings import SampleFormat

ORIGINATOR: Final = "stemstream"

# description, originator, its reference, date, time, time reference, version, UMID, loudness, rest
_FIELDS: Final = struct.Struct("<256s32s32s10s8sQH64s10s180s")
_VERSION: Final = 1
_MOST_FRAMES: Final = 2**63
_DATE: Final = re.compile(rb"[0-9]{4}[-_:. ][0-9]{2}[-_:. ][0-9]{2}")
_TIME: Final = re.compile(rb"[0-9]{2}[-_:. ][0-9]{2}[-_:. ][0-9]{2}")
_BITS: Final[dict[SampleFormat, int]] = {"int16": 16, "int24": 24, "float32": 32}
_MODES: Final = {1: ",M=mono", 2: ",M=stereo"}


@dataclass(frozen=True, slots=True)
class TimeStamp:
    """When a sound begins: ``frames`` after midnight, and the ``date`` and ``time`` of its making.

    Date and time are as in "2026-11-28" and "20:15:00"; empty where they are not known.
    """

    frames: int = 0
    date: str = ""
    time: str = ""

    @classmethod
    def of(cls, moment: datetime, samplerate: int) -> TimeStamp:
        """Return the stamp of a sound that begins at a moment of the local time."""
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        # by the clock on the wall, also on the day when that is changed
        seconds = (moment.replace(tzinfo=None) - midnight.replace(tzinfo=None)).total_seconds()
        return cls(round(seconds * samplerate), f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}")


def bext_body(
    description: str,
    stamp: TimeStamp,
    samplerate: int,
    channels: int,
    sample_format: SampleFormat,
) -> bytes:
    """Return the body of a bext chunk; its length does not depend on the stamp."""
    history = f"A=PCM,F={samplerate},W={_BITS[sample_format]}{_MODES.get(channels, '')}"
    fixed = _FIELDS.pack(
        _ascii(description),
        _ascii(ORIGINATOR),
        b"",
        _ascii(stamp.date),
        _ascii(stamp.time),
        stamp.frames,
        _VERSION,
        b"",
        b"",
        b"",
    )
    body = fixed + _ascii(f"{history},T={ORIGINATOR}\r\n")
    return body + b"\0" * (len(body) % 2)


def read_stamp(body: bytes) -> TimeStamp:
    """Return the stamp in the body of a bext chunk; what makes no sense in it is left out."""
    if len(body) < _FIELDS.size:
        return TimeStamp()
    _, _, _, date, time, frames, *_ = _FIELDS.unpack_from(body)
    return TimeStamp(
        frames if frames < _MOST_FRAMES else 0,
        date.decode() if _DATE.fullmatch(date) else "",
        time.decode() if _TIME.fullmatch(time) else "",
    )


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace")
