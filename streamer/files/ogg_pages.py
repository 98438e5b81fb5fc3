"""The end of an Ogg file. The file states no length; only the last page says that it is the last.

RFC 3533, section 6, describes the page format.
"""

from __future__ import annotations

from typing import Final

OGG_PAGE_BYTES: Final = 27 + 255 + 255 * 255
"""The longest that a page can be."""

_MAGIC: Final = b"OggS"
_FLAGS, _SEGMENTS, _TABLE = 5, 26, 27
_LAST_OF_STREAM: Final = 4


def ends_whole(tail: bytes) -> bool:
    """Return whether a file ends with a whole page that is the last of its stream.

    ``tail`` is the end of the file: at least `OGG_PAGE_BYTES`, or all of a shorter file.
    """
    start = tail.rfind(_MAGIC)
    while start >= 0:
        table = tail[start + _TABLE :]
        if len(tail) > start + _SEGMENTS:
            segments = tail[start + _SEGMENTS]
            end = start + _TABLE + segments + sum(table[:segments])
            if end == len(tail) and tail[start + 4] == 0:
                return bool(tail[start + _FLAGS] & _LAST_OF_STREAM)
        # the four letters may also occur in the sound
        start = tail.rfind(_MAGIC, 0, start)
    return False
