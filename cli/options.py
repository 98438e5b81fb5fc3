"""The flags of `separate`, made from the fields of `Settings`: nothing is defined twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import typer

from streamer.errors import SettingsError
from streamer.settings import Settings, flag, shown

SHORT: Final[Mapping[str, tuple[str, ...]]] = {
    "model": ("-n", "--model"),
    "out": ("-o",),
    "device": ("-d",),
    "jobs": ("-j",),
}
"""Other names of flags, most of them those of `demucs`."""

SHORTCUTS: Final[Mapping[str, tuple[str, str]]] = {
    "mp3": ("format", "mp3"),
    "flac": ("format", "flac"),
    "int16": ("sample_format", "int16"),
    "int24": ("sample_format", "int24"),
    "float32": ("sample_format", "float32"),
}
"""Flags that give a field one of its values."""

PANELS: Final[Mapping[str, tuple[str, ...]]] = {
    "Model": ("preset", "model", "repo", "trust_checkpoint", "device", "torch_num_threads", "jobs"),
    "Quality": ("overlap", "shifts", "segment", "normalize", "resampler", "seed"),
    "Stems": ("stems", "two_stems", "other_method", "residual", "conserve"),
    "Files": ("out", "filename", "format", "mp3_bitrate", "mp3_preset", "overwrite", "resume"),
    "Sound": ("sample_format", "dither", "clip_mode", "loudness"),
}


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every setting as a flag; it is called with those given, as ``flags=``."""

    def run(**given: Any) -> None:
        flags = {name: given.pop(name) for name in Settings.model_fields}
        for shortcut, (name, value) in SHORTCUTS.items():
            if given.pop(shortcut):
                if flags[name] not in (None, value):
                    raise SettingsError(
                        f"--{shortcut} and {flag(name)} {flags[name]} exclude each other; give one"
                    )
                flags[name] = value
        command(flags=flags, **given)

    own = list(inspect.signature(command, eval_str=True).parameters.values())
    own = [parameter for parameter in own if parameter.name != "flags"]
    parameters = [*own, *_settings(), *_shortcuts()]
    run.__doc__ = command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _settings() -> list[inspect.Parameter]:
    parameters = []
    for name, field in Settings.model_fields.items():
        words = [*SHORT.get(name, ()), flag(name)]
        metavar = None
        if field.annotation is bool:
            words[-1] += f"/{flag(name, False)}"
        else:
            metavar = name.rsplit("_", 1)[-1].upper()
        panel = next(panel for panel, names in PANELS.items() if name in names)
        option = typer.Option(
            *words,
            metavar=metavar,
            help=f"{field.description} [default: {shown(field.default)}]",
            rich_help_panel=panel,
            show_default=False,
        )
        parameters.append(_parameter(name, bool if field.annotation is bool else str, option))
    return parameters


def _shortcuts() -> list[inspect.Parameter]:
    return [
        _parameter(
            shortcut,
            bool,
            typer.Option(
                f"--{shortcut}",
                help=f"the same as {flag(name)} {value}",
                rich_help_panel=next(panel for panel, names in PANELS.items() if name in names),
                show_default=False,
            ),
        )
        for shortcut, (name, value) in SHORTCUTS.items()
    ]


def _parameter(name: str, kind: type, option: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )
