"""The part of a song that a live run plays: from `--start` to `--end`, or all of it."""

from __future__ import annotations

from pathlib import Path

from streamer.checked import stream_index
from streamer.errors import SettingsError
from streamer.files import Source, open_source
from streamer.live.settings import LiveSettings
from streamer.sentences import shown


def open_song(settings: LiveSettings) -> Source | None:
    """Open the file that is played, None where the input is a sound device.

    Raises:
        SettingsError: the part begins or ends behind the end of the song, or no file is played.
        SourceError: the file cannot be read.
    """
    if settings.input is None or not Path(settings.input).is_file():
        _refuse_for_devices(settings)
        return None
    source = open_source(settings.input, stream_index(settings.stream))
    try:
        _check(settings, source)
    except BaseException:
        source.close()
        raise
    return source


def _check(settings: LiveSettings, source: Source) -> None:
    song = Path(str(settings.input)).name
    length = "" if source.seconds is None else f", which is {source.seconds:.1f} s long"
    if settings.start and not _holds(source, round(settings.start * source.samplerate)):
        raise SettingsError(
            f"start={settings.start:g} must be before the end of {song}{length}; try start=0"
        )
    if settings.end and not _holds(source, round(settings.end * source.samplerate) - 1):
        raise SettingsError(
            f"end={settings.end:g} must not be after the end of {song}{length}; "
            "leave it out to play to the end"
        )


def _refuse_for_devices(settings: LiveSettings) -> None:
    for name in ("stream", "start", "end", "loop"):
        if value := getattr(settings, name):
            raise SettingsError(
                f"{name}={shown(value)} must go with a file that is played, and a sound device is "
                "taken in; try --input song.flac, or leave it out"
            )


def _holds(source: Source, frame: int) -> bool:
    """Return whether a source has a frame: as it states where that is certain, else by reading."""
    if source.frames is not None:
        return frame < source.frames
    source.seek(max(0, frame))
    found = next(source.blocks(1), None) is not None
    source.reopen()
    return found
