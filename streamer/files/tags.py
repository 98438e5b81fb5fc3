"""Read a file's tags into one plain dict, and write such a dict into any finished file.

Keys as mutagen's "easy" interface has them: title, artist, album, albumartist, date, genre,
tracknumber and so on. Several values of one key are joined with "; ". Pictures are left out.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

# FFmpeg's names for what mutagen calls otherwise.
_FFMPEG_NAMES = {
    "album_artist": "albumartist",
    "album artist": "albumartist",
    "disc": "discnumber",
    "track": "tracknumber",
    "year": "date",
}

# What stands among the tags but tells of the file and its loudness, not of the song; and pictures.
_NOT_TAGS = re.compile(
    "compatible_brands|coverart.*|creation_time|duration|encod(er|ed.?by|ing)|handler_name|language"
    "|major_brand|metadata_block_picture|minor_version|r128_.*|replaygain_.*|software|vendor_id"
    "|waveformatextensible_.*"
)

_COMPOSER = "\xa9wrt"  # of MP4

# Where mutagen keeps tags whose keys and values are not those of the easy interface.
_KEYS_OF_THEIR_OWN = ("mutagen.apev2", "mutagen.asf")

# A key's accessors on a raw tag object, as mutagen's easy classes keep them.
_Get: TypeAlias = Mapping[str, Callable[[Any, str], list[str]]]
_Set: TypeAlias = Mapping[str, Callable[[Any, str, list[str]], None]]


def read_tags(path: Path) -> dict[str, str]:
    """Return the tags of a file, read by mutagen or else by FFmpeg; empty if there are none."""
    # of damaged tags mutagen raises anything: IndexError, KeyError, struct.error
    try:
        tags = _read_with_mutagen(path)
    except Exception:
        tags = None
    return _read_with_ffmpeg(path) if tags is None else tags


def _read_with_mutagen(path: Path) -> dict[str, str] | None:
    """The tags that mutagen finds; None where it finds none, or not under the common keys."""
    import mutagen

    file = mutagen.File(path)
    if file is None or not file.tags or type(file.tags).__module__ in _KEYS_OF_THEIR_OWN:
        return None
    accessors = _accessors(file.tags)
    if accessors is None:
        known = {key.lower(): file.tags[key] for key in file.tags.keys()}  # noqa: SIM118
    else:
        known = {}
        for key, get in accessors[0].items():
            with contextlib.suppress(KeyError):
                known[key] = get(file.tags, key)
    return {key: "; ".join(values) for key, values in known.items() if _is_tag(key, values)}


def _read_with_ffmpeg(path: Path) -> dict[str, str]:
    from streamer.files.av_open import Tap, open_container

    try:
        with path.open("rb") as file, open_container(Tap(file)) as container:
            return from_container(container.metadata)
    except Exception:
        return {}


def states_length(path: Path) -> bool:
    """Return whether a file states its length; an MP3 does so only in a Xing or VBRI header."""
    import mutagen
    from mutagen.mp3 import MP3, BitrateMode

    try:
        file = mutagen.File(path)
    except Exception:
        return True
    mode = getattr(file.info, "bitrate_mode", None) if isinstance(file, MP3) else None
    return mode != BitrateMode.UNKNOWN


def from_container(metadata: Mapping[str, str]) -> dict[str, str]:
    """Tags as FFmpeg reports them, under the common keys."""
    tags = {_FFMPEG_NAMES.get(key.lower(), key.lower()): text for key, text in metadata.items()}
    return {key: text for key, text in tags.items() if _is_tag(key, [text])}


def _is_tag(key: str, values: object) -> bool:
    return (
        _NOT_TAGS.fullmatch(key) is None
        and isinstance(values, list)
        and any(values)
        and all(isinstance(value, str) for value in values)
    )


def write_tags(path: Path, container: str, tags: Mapping[str, str]) -> None:
    """Write tags into a finished file. Tags that its format cannot hold are dropped.

    ``container`` is wav, flac, ogg, opus, mp3 or m4a. An RF64 file and a WAV without samples take
    none.

    Raises:
        OSError, mutagen.MutagenError: the file cannot be written.
    """
    if not tags or (container == "wav" and not _is_riff(path)):
        return
    file = _open(path, container)
    if container == "wav" and file.info.length == 0:
        return  # FFmpeg takes data of no length for data up to the end, tags and all
    if file.tags is None:
        file.add_tags()
    accessors = _accessors(file.tags)
    for key, text in tags.items():
        # A value may not fit its key, as a track number "A1" does not in M4A.
        with contextlib.suppress(ValueError, TypeError, KeyError):
            if container in ("wav", "mp3"):
                _refuse_unfit(key, text)
            if accessors is None:
                file.tags[key] = [text]
            elif key in accessors[1]:
                accessors[1][key](file.tags, key, [text])
    file.save()


def _refuse_unfit(key: str, text: str) -> None:
    """Raise ValueError for what ID3 cannot hold, where mutagen would say so late or never."""
    if key == "website":
        text.encode("latin-1")
    elif key in ("date", "originaldate") and re.match(r"\d{4}", text) is None:
        raise ValueError(text)  # a date there begins with its year, and 12/05 would be one


def _is_riff(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"RIFF"


def _open(path: Path, container: str) -> Any:
    """Open the finished file with mutagen's class for its format: its name does not tell it."""
    from mutagen import flac, mp3, mp4, oggopus, oggvorbis, wave

    kinds: dict[str, Callable[[Path], Any]] = {
        "wav": wave.WAVE,
        "flac": flac.FLAC,
        "ogg": oggvorbis.OggVorbis,
        "opus": oggopus.OggOpus,
        "mp3": mp3.MP3,
        "m4a": mp4.MP4,
    }
    return kinds[container](path)


def _accessors(tags: object) -> tuple[_Get, _Set] | None:
    """The easy keys of ID3 and MP4 tags; None for Vorbis comments, whose keys are easy already.

    mutagen leaves out the comment of the one and the composer of the other.
    """
    from mutagen.easyid3 import EasyID3
    from mutagen.easymp4 import EasyMP4Tags
    from mutagen.id3 import ID3
    from mutagen.mp4 import MP4Tags

    if isinstance(tags, ID3):
        return {**EasyID3.Get, "comment": _comment}, {**EasyID3.Set, "comment": _set_comment}
    if isinstance(tags, MP4Tags):
        get, put = _composer, _set_composer
        return {**EasyMP4Tags.Get, "composer": get}, {**EasyMP4Tags.Set, "composer": put}
    return None


def _comment(tags: Any, _key: str) -> list[str]:
    # those with a description are other programs' numbers
    return [text for frame in tags.getall("COMM") if not frame.desc for text in frame.text]


def _set_comment(tags: Any, _key: str, values: list[str]) -> None:
    from mutagen.id3 import COMM, Encoding

    frame: Any = COMM  # it has no types
    tags.add(frame(encoding=Encoding.UTF8, lang="XXX", desc="", text=values))


def _composer(tags: Any, _key: str) -> list[str]:
    return list(tags[_COMPOSER])


def _set_composer(tags: Any, _key: str, values: list[str]) -> None:
    tags[_COMPOSER] = values
