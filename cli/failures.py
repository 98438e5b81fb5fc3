"""What a failure is told as, and what the command exits with for it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from itertools import takewhile

from cli.terminal import complain
from cli.verbose import VERBOSE, is_verbose
from streamer.errors import StemstreamError


def tell_failure(error: Exception) -> int:
    """Say in one sentence what went wrong, with ``--verbose`` also where; return the exit code."""
    if isinstance(error, StemstreamError):
        complain(str(error))
        return error.exit_code
    if is_verbose(sys.argv):
        traceback.print_exception(error)
    command = _command(sys.argv[1:])
    complain(f"{unexpected(error)}; please report it with what `{command} --verbose` shows")
    return 1


def unexpected(error: Exception) -> str:
    """The sentence for what no input should cause."""
    return f"this should not happen: {type(error).__name__}: {error}"


def _command(words: Sequence[str]) -> str:
    """Return which command a command line is of: "stemstream models path".

    Not from the commands themselves: it may be these that cannot be loaded.
    """
    words = [word for word in words if word not in VERBOSE]
    depth = 2 if words[:1] in (["models"], ["bench"]) else 1
    return " ".join(["stemstream", *takewhile(str.isalpha, words[:depth])])
