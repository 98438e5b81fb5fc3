"""Standard output, which may be closed, full, or read by nobody any more."""

from __future__ import annotations

import codecs
import errno
import io
import locale
import os
import sys
from typing import Any

from cli.escapes import EscapedStream
from streamer.errors import SinkError

OUTPUT = 1
"""Its descriptor."""

IN_ASCII = "stemstream"
GLYPHS = {
    **dict.fromkeys("█▓", "#"),
    **dict.fromkeys("░▒", "."),
    **dict.fromkeys("│┃▌▏", "|"),
    **dict.fromkeys("─━╸╺═", "-"),
    **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼", "+"),
    "…": "~",
    "•": "*",
    "×": "x",
    "–": "-",
    "—": "-",
}
"""What stands for a sign where a terminal has none but ASCII's; each is one cell wide."""


def claim() -> None:
    """Have every failure to write to standard output be a `SinkError`, whoever writes.

    What is written to standard error is escaped from now on (`escapes`).

    Descriptors of standard streams that are closed are occupied: the next files to be opened would
    get them, and with them whatever a library prints.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # the lowest free one is what it gets; to a closed output nothing can be written
            os.open(os.devnull, os.O_RDONLY if descriptor == OUTPUT else os.O_RDWR)
    ours = sys.__stdout__
    if ours is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Output()))
    elif ours is sys.stdout:
        buffer = io.BufferedWriter(_Output())
        sys.stdout = io.TextIOWrapper(
            buffer, ours.encoding, ours.errors, line_buffering=ours.line_buffering
        )
    codecs.register_error(IN_ASCII, _in_ascii)
    for stream, original in ((sys.stdout, ours), (sys.stderr, sys.__stderr__)):
        if isinstance(stream, io.TextIOWrapper) and original is not None:
            _speak_plainly(stream)
    errors = sys.__stderr__
    if errors is not None and errors is sys.stderr:
        sys.stderr = EscapedStream(errors)


def _speak_plainly(stream: io.TextIOWrapper) -> None:
    """Have what a stream's encoding lacks be written in ASCII, and all of it where the locale is C.

    Python itself takes such a terminal for one of UTF-8.
    """
    wishes = "PYTHONIOENCODING" in os.environ or "PYTHONUTF8" in os.environ
    told = codecs.lookup(locale.getencoding()).name
    if stream.isatty() and not wishes and told != "utf-8":
        stream.reconfigure(encoding=told, errors=IN_ASCII)
    elif not stream.encoding.lower().startswith("utf"):
        stream.reconfigure(errors=IN_ASCII)


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what stands for signs that cannot be encoded: see `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    plain = (
        GLYPHS.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in signs
    )
    return "".join(plain), error.end


def refuse_closed() -> None:
    """Make sure that something can be written to standard output.

    Raises:
        SinkError: it is closed.
    """
    try:
        os.write(OUTPUT, b"")
    except OSError as error:
        raise _failure(error) from None


class _Output(io.FileIO):
    def __init__(self) -> None:
        super().__init__(OUTPUT, "w", closefd=False)

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise _failure(error) from None


def _failure(error: OSError) -> SinkError:
    # what is still buffered goes nowhere, else Python complains of it when it exits
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, OUTPUT)
    os.close(nowhere)
    if error.errno == errno.EPIPE:
        return SinkError("The reader of the pipe went away before the end")
    if error.errno == errno.EBADF:
        return SinkError("Standard output is closed; send it to a file or a pipe")
    return SinkError(f"Standard output cannot be written ({error.strerror}); send it elsewhere")
