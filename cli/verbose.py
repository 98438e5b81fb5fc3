"""The flag ``--verbose``: one option, taken before and after the name of each command.

No command sees its value. `cli.failures` looks for it when an error is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

VERBOSE: Final = ("-v", "--verbose")

Verbose = Annotated[
    bool, typer.Option(*VERBOSE, help="show where an unexpected error came from", metavar="")
]


def take_verbose(*, verbose: Verbose = False) -> None:
    """Give the program the flag: its callback, which has nothing to do."""


def share_verbose(program: Any) -> Any:
    """Let every command of a program take the flag that the program has; return the program."""
    (option,) = (one for one in program.params if one.name == "verbose")
    option.expose_value = False
    waiting = list(program.commands.values())
    for command in waiting:
        command.params.append(option)
        waiting += getattr(command, "commands", {}).values()
    return program


def is_verbose(words: Sequence[str]) -> bool:
    """Return whether a command line has the flag.

    The commands are not asked: it may be these that cannot be loaded.
    """
    return not set(VERBOSE).isdisjoint(words)
