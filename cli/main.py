"""The command `stemstream`: where it begins, and what it exits with.

::

    0    done
    1    something that should not have happened (``--verbose`` shows where)
    2    a flag, a setting or a settings file is wrong
    3    an input cannot be read
    4    an output cannot be written
    5    the model is unknown, its weights cannot be had, or it failed
    6    a sound device is missing, busy or refuses
    130  stopped by Ctrl-C (143: by a termination signal, 129: its terminal was closed)

Batch exits with 1 where songs failed, doctor where a part is missing.
Of several tracks all that can be separated are; the code tells of the first that could not.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

from cli.standard import claim
from cli.stops import StopSignals, asked
from streamer.errors import SinkError


def main() -> NoReturn:
    """Run the command line, and end the process with it.

    What it holds goes back to the system as a whole. To free a model first takes 0.1 s.
    """
    codes: list[int] = []
    # what is registered first comes last, when all threads have ended and all else is cleaned up
    atexit.register(_end, codes)
    try:
        run()
    except SystemExit as ended:
        codes += [ended.code] if isinstance(ended.code, int) else []
        raise


def _end(codes: list[int]) -> None:
    for code in codes:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with suppress(OSError, ValueError, SinkError):  # it was told already, if it can be
                stream.flush()
        os._exit(code)


def run() -> NoReturn:
    """Run the command line and exit."""
    if sys.platform == "win32":
        from cli.terminal import complain

        complain("it runs on Linux and macOS; on Windows try it inside WSL")
        sys.exit(1)
    claim()
    # processes that this one starts import nothing that lies in the current folder
    os.environ["PYTHONSAFEPATH"] = "1"
    # importing makes a great many objects and no garbage; see `cli.garbage`
    gc.disable()
    stops = StopSignals()
    stops.heed()
    try:
        # imported here, since Ctrl-C during it should show no traceback either
        from cli.commands import program
        from cli.terminal import relay_log

        relay_log()
        # without arguments the help is more use than an error
        words = sys.argv[1:] or ["--help"]
        code = program(words)(words, prog_name="stemstream", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code or 0)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        # libraries that are stopped while they are imported turn that into errors of their own
        sys.exit(128 + asked[0] if asked else _explain(error))
    finally:
        stops.ignore()


def _explain(error: Exception) -> int:
    """Say in one sentence what went wrong, and return what to exit with."""
    from cli.failures import tell_failure
    from cli.terminal import complain

    if hasattr(error, "format_message"):  # typer's own, of a class that it keeps to itself
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "stemstream"
        complain(f"{error.format_message().rstrip('.')}; see `{command} --help`")
        return 2
    return tell_failure(error)
