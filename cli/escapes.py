r"""What a terminal must not obey is shown instead: the names of files, tags, devices, remote texts.

Such a text may hold sequences that move the cursor, paint over lines, or make the terminal type.
``song\x1b[2J.wav`` is shown as just that, an escape as four characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

# C0 and C1 controls, marks of reading direction, separators of lines, and halves of characters,
# which stand for bytes that are no text; a byte 0x9b is such a control to many terminals
_DANGEROUS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escaped(text: str, keep: str = "\n\t") -> str:
    r"""Return the text with each character that a terminal might obey written as ``\x1b``.

    Args:
        text: any text.
        keep: characters that may stay.
    """
    return _DANGEROUS.sub(lambda match: _shown(match[0], keep), text)


def _shown(character: str, keep: str) -> str:
    if character in keep:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte of a file name that is no text
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class Unheard:
    """A stream to somebody who may be gone: what cannot be written there is lost, and work goes on.

    So it is on a full disk, and on a terminal that was closed while a bar moved on it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, if that is possible."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, if that is possible."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class EscapedStream:
    """Standard error for all who write there unasked: tracebacks, warnings, logs of libraries.

    Who writes control sequences on purpose takes ``rich_proxied_file``, the stream itself; rich
    looks for it under that name.
    """

    _KEPT = "\n\t\r"  # the bars of downloads begin their line again

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = Unheard(stream)

    def write(self, text: str) -> int:
        """Write a text, escaped."""
        self.rich_proxied_file.write(escaped(text, self._KEPT))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts, escaped."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)
