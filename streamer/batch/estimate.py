"""What a job will take, before it runs: songs, hours of music, time and disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from streamer.batch.manifest import Row, State
from streamer.batch.places import Place
from streamer.checked import stream_index
from streamer.errors import StemstreamError
from streamer.files import open_source
from streamer.naming import is_address
from streamer.settings import Settings

_BYTES: Final = {"int16": 2, "int24": 3, "float32": 4, "source": 3}
_KBPS: Final = {"ogg": 192, "opus": 160, "m4a": 256, "stem.mp4": 256}
_FLAC_SHARE: Final = 0.6
CHANNELS: Final = 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is to be done. ``seconds`` is of music; ``unread`` songs told no length.

    ``elapsed_seconds`` is None where no song of the job has been timed yet, ``free_bytes`` where
    nobody knows. Songs in stores are not read for it.
    """

    songs: int
    unread: int
    seconds: float
    elapsed_seconds: float | None
    bytes: float
    free_bytes: int | None


def estimate(
    rows: Iterable[Row], settings: Settings, place: Place, *, stems: int, workers: int
) -> Estimate:
    """Return what the rows that wait will take; the time by the songs that are done."""
    rows = list(rows)
    waiting = [row.source for row in rows if row.state is State.WAITING]
    seconds = bytes_needed = 0.0
    unread = 0
    for source in waiting:
        length, rate = _length(source, settings)
        if length is None:
            unread += 1
            continue
        seconds += length
        bytes_needed += stems * length * _bytes_a_second(settings, rate)
    done = [row for row in rows if row.state is State.DONE and row.elapsed_seconds]
    music, spent = (
        sum(getattr(row, name) for row in done) for name in ("seconds", "elapsed_seconds")
    )
    elapsed = seconds * spent / music / workers if music else None
    return Estimate(len(waiting), unread, seconds, elapsed, bytes_needed, place.free_bytes())


def _length(source: str, settings: Settings) -> tuple[float | None, int]:
    """Return a song's length in seconds, if it can be told without reading all of it, and rate."""
    if is_address(source):
        return None, 0
    try:
        with open_source(source, stream_index(settings.stream)) as opened:
            return opened.seconds, opened.samplerate
    except StemstreamError:
        return None, 0


def _bytes_a_second(settings: Settings, samplerate: int) -> float:
    if settings.format == "mp3":
        return settings.mp3_bitrate * 125
    if settings.format in _KBPS:
        return _KBPS[settings.format] * 125
    whole = samplerate * CHANNELS * _BYTES[settings.sample_format]
    return whole * _FLAC_SHARE if settings.format == "flac" else whole
