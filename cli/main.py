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

Of several tracks all that can be separated are; the code is that of the first that could not.
"""

from __future__ import annotations

import gc
import math
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, Final

from cli.standard import claim
from cli.stops import asked
from streamer.stop_signals import STOP_SIGNALS

HASTE_SECONDS: Final = 1.0
"""A second Ctrl-C so soon after the first would only break into its cleaning up."""
AGAIN_SECONDS: Final = 0.01


def run() -> None:
    """Run the command line and exit."""
    claim()
    # processes that this one starts import nothing that lies in the current folder
    os.environ["PYTHONSAFEPATH"] = "1"
    # importing makes a great many objects and no garbage; `cli.tracks` turns collection on again
    gc.disable()
    stops = asked
    stops.clear()
    stopped_at = -math.inf

    def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal stopped_at
        if time.monotonic() < stopped_at + HASTE_SECONDS:
            return
        stopped_at = time.monotonic()
        # as an exception, so that what is half written is cleaned up
        stops.append(signum)
        raise KeyboardInterrupt if signum == signal.SIGINT else SystemExit(128 + signum)

    for signum in STOP_SIGNALS:
        if signal.getsignal(signum) != signal.SIG_IGN:  # as under nohup
            signal.signal(signum, stop)

    hook = sys.unraisablehook

    def unraisable(lost: Any) -> None:
        nonlocal stopped_at
        if isinstance(lost.exc_value, KeyboardInterrupt | SystemExit) and stops:
            # it broke into a call back from a library, as numba's when it loads code: send it again
            stopped_at = -math.inf
            threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), stops[-1])).start()
        else:
            hook(lost)

    sys.unraisablehook = unraisable
    try:
        # imported here, since Ctrl-C during it should show no traceback either
        from cli.commands import stemstream
        from cli.terminal import relay_log

        relay_log()
        # without arguments the help is more use than an error
        code = stemstream(sys.argv[1:] or ["--help"], prog_name="stemstream", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        # libraries that are stopped while they are imported turn that into errors of their own
        sys.exit(128 + stops[0] if stops else _explain(error))
    finally:
        # what is left ends by itself: threads, within the window that they are at, and libraries,
        # which show a traceback or abort where they are broken into
        for signum in STOP_SIGNALS:
            signal.signal(signum, signal.SIG_IGN)
        sys.unraisablehook = hook


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
