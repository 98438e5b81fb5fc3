"""The flag ``--verbose`` of every command; `cli.main` looks for it when an error is told."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

Verbose = Annotated[
    bool,
    typer.Option("-v", "--verbose", help="show where an unexpected error came from", metavar=""),
]


def with_verbose(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flag, which its function does not see."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    flag = inspect.Parameter(
        "verbose", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Verbose
    )

    def run(*words: Any, verbose: bool, **flags: Any) -> None:  # noqa: ARG001
        command(*words, **flags)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature([*own, flag])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*own, flag)}
    return run
