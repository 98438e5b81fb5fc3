"""Standard output, which may be closed, full, or read by nobody any more."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

from cli.escapes import EscapedStream
from streamer.errors import SinkError

OUTPUT = 1
"""Its descriptor."""


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
    errors = sys.__stderr__
    if errors is not None and errors is sys.stderr:
        sys.stderr = EscapedStream(errors)


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
