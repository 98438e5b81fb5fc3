"""The commands of `stemstream`, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

import typer
from typer.main import get_command

from cli.verbose import share_verbose, take_verbose

_STEMS, _LIVE, _MODELS, _FIRST = "Stems", "Before live", "Models", "First steps"

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "separate": (_STEMS, "cli.separate:separate"),
    "batch": (_STEMS, "cli.batch:batch"),
    "live": (_STEMS, "cli.live:live"),
    "devices": (_LIVE, "cli.devices:devices"),
    "plan": (_LIVE, "cli.live:plan"),
    "latency": (_LIVE, "cli.latency:latency"),
    "models": (_MODELS, "cli.models:app"),
    "bench": (_MODELS, "cli.bench:app"),
    "eval": (_MODELS, "cli.evaluate:evaluate"),
    "train": (_MODELS, "cli.train:train"),
    "demo": (_FIRST, "cli.demo:demo"),
    "presets": (_FIRST, "cli.presets:presets"),
    "doctor": (_FIRST, "cli.doctor:doctor"),
}
"""The panel of each command in the help, and where it is."""


def program(words: Sequence[str]) -> Any:
    """Return what runs a command line, ``words``: it takes one flag that each command takes.

    It knows only the command that the words name, since the modules of all take a while to import.
    It knows all commands if the words name none.
    """
    app = typer.Typer(
        name="stemstream",
        callback=take_verbose,
        help="A song's stems while it plays.",
        epilog="Exits with 0 when all is done, 2 for a wrong flag or setting, 3 for an input that "
        "cannot be read, 4 for an output that cannot be written, 5 for a model that cannot be had, "
        "6 for a sound device that refuses, 130 after Ctrl-C, 143 when terminated, 129 when its "
        "terminal is closed, and 1 for a fault of its own, for batch "
        "with songs that failed and for doctor with a part missing.",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    named = next((word for word in words if not word.startswith("-")), None)
    names = [named] if named is not None and named in COMMANDS else list(COMMANDS)
    for name in names:
        panel, home = COMMANDS[name]
        module, attribute = home.split(":")
        command = getattr(import_module(module), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(command)
    return share_verbose(get_command(app))
