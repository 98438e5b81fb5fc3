"""The command `stemstream`: its commands, and what it exits with.

::

    0    done
    1    something that should not have happened (``--verbose`` shows where)
    2    a flag, a setting or a settings file is wrong
    3    an input cannot be read
    4    an output cannot be written
    5    the model is unknown, its weights cannot be had, or it failed
    130  stopped by Ctrl-C (143: by a termination signal)

Of several tracks all that can be separated are; the code is that of the first that could not.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import typer

from cli import demo, doctor, models, presets, separate
from cli.terminal import complain
from streamer.errors import StemstreamError

app = typer.Typer(
    name="stemstream",
    help="A song's stems while it plays.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("separate")(separate.separate)
app.command("demo")(demo.demo)
app.command("presets")(presets.presets)
app.command("doctor")(doctor.doctor)
app.add_typer(models.app, name="models")


def run() -> None:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except StemstreamError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # the reader of standard output went away; what Python would still flush goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(4)
    except Exception as error:
        if "--verbose" in sys.argv or "-v" in sys.argv:
            raise
        complain(f"this should not happen: {type(error).__name__}: {error}; --verbose shows where")
        sys.exit(1)


def _terminated(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    # as an exception, so that what is half written is cleaned up
    sys.exit(128 + signum)
