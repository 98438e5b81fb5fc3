"""Flags, made from the fields of the settings: nothing is defined twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Final

import typer
from pydantic.fields import FieldInfo
from rich.markup import escape

from streamer.checked import Checked, panel_of, unit_of
from streamer.errors import SettingsError
from streamer.resolve import flag
from streamer.sentences import allowed, shown

SHORT: Final[Mapping[str, tuple[str, ...]]] = {
    "model": ("-n", "--model"),
    "out": ("-o",),
    "device": ("-d",),
    "jobs": ("-j",),
    "window": ("--segment",),
}
"""Other names of flags; most are `demucs`'s."""

SHORTCUTS: Final[Mapping[str, tuple[str, str]]] = {
    "mp3": ("format", "mp3"),
    "flac": ("format", "flac"),
    "int16": ("sample_format", "int16"),
    "int24": ("sample_format", "int24"),
    "float32": ("sample_format", "float32"),
}
"""Flags that give a field one of its values."""


def with_settings(
    kind: type[Checked], leave_out: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the settings of a kind as flags; it is called with those given, as ``flags=``.

    ``leave_out`` are fields that mean nothing to the command.
    """
    fields = {name: one for name, one in kind.model_fields.items() if name not in leave_out}
    shortcuts = {name: to for name, to in SHORTCUTS.items() if to[0] in fields}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            flags = {
                name: (given.pop(name) or None) if _repeated(field) else given.pop(name)
                for name, field in fields.items()
            }
            for shortcut, (name, value) in shortcuts.items():
                if given.pop(shortcut):
                    if flags[name] not in (None, value):
                        raise SettingsError(
                            f"--{shortcut} and {flag(name)} {flags[name]} exclude each other; "
                            "give one"
                        )
                    flags[name] = value
            command(flags=flags, **given)

        own = list(inspect.signature(command, eval_str=True).parameters.values())
        own = [parameter for parameter in own if parameter.name != "flags"]
        parameters = [*own, *_settings(fields), *_shortcuts(shortcuts, fields)]
        run.__doc__ = command.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _settings(fields: Mapping[str, FieldInfo]) -> list[inspect.Parameter]:
    parameters = []
    for name, field in fields.items():
        switch = field.annotation is bool
        words = [*SHORT.get(name, ()), flag(name)]
        if switch:
            words[-1] += f"/{flag(name, False)}"
        option = typer.Option(
            *words,
            metavar="" if switch else unit_of(field) or name.rsplit("_", 1)[-1].upper(),
            help=escape(_help(name, field)),
            rich_help_panel=panel_of(field),
            show_default=False,
        )
        kind = bool if switch else list[str] if _repeated(field) else str
        parameters.append(_parameter(name, kind, option))
    return parameters


def _help(name: str, field: FieldInfo) -> str:
    """Return what a flag does, what it may be, and what it is without it."""
    words = str(field.description)
    if allowed(field) not in ("text", "true or false"):
        words += f"; {allowed(field)}"
    if field.default is True:
        words += f" [default: {flag(name)}]"
    elif field.default not in (None, ()) and field.default is not False:
        words += f" [default: {shown(field.default)}]"
    return words


def _repeated(field: FieldInfo) -> bool:
    """Return whether a flag may be given several times: nothing is then a tuple without items."""
    return bool(field.default == ())


def _shortcuts(
    shortcuts: Mapping[str, tuple[str, str]], fields: Mapping[str, FieldInfo]
) -> list[inspect.Parameter]:
    return [
        _parameter(
            shortcut,
            bool,
            typer.Option(
                f"--{shortcut}",
                help=f"the same as {flag(name)} {value}",
                rich_help_panel=panel_of(fields[name]),
                metavar="",
                show_default=False,
            ),
        )
        for shortcut, (name, value) in shortcuts.items()
    ]


def _parameter(name: str, kind: Any, option: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )
