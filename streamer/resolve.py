"""Gather the settings from all places, and remember where each one came from.

::

    resolved = resolve({"overlap": 0.5})
    resolved.settings.overlap            # 0.5
    resolved.origins["overlap"]          # "flag --overlap"

The first of these that has a value wins: flag, environment, settings file, preset, default.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Generic, TypeVar, get_args, overload

from pydantic import AfterValidator, Field

from streamer.checked import MOST_THREADS, Checked, is_harmless
from streamer.errors import SettingsError
from streamer.presets import preset_values
from streamer.sentences import ConflictError, RefusedError, no_setting, shown
from streamer.settings import (
    SampleFormat,
    Settings,
    StreamSettings,
)

CONFIG_FILE: Final = "stemstream.toml"
"""The settings file that is read if it lies in the current folder.

Nobody asked for it, and somebody else may have put it there. So it may set only harmless fields.
"""
_LARGEST_BYTES: Final = 1 << 20
TABLES: Final[tuple[str, ...]] = ("live", "eval", "train")
"""The tables of a settings file, each for the settings of one command."""


Kind = TypeVar("Kind", bound=Checked)


@dataclass(frozen=True)
class Resolved(Generic[Kind]):
    """Settings, and where each value came from, by field in the order of the fields.

    An origin reads "flag --overlap", "environment DEMUCS_OVERLAP", "stemstream.toml", "preset FAST"
    or "default".
    """

    settings: Kind
    origins: Mapping[str, str]

    def rows(self) -> list[tuple[str, str, str]]:
        """Return name, value and origin of every field, as words for a table."""
        return [
            (name, shown(getattr(self.settings, name)), origin)
            for name, origin in self.origins.items()
        ]


@dataclass(frozen=True)
class _Given:
    """One layer's value for a field, and how its user wrote the field."""

    value: object
    origin: str
    written: str


class Environment(Checked):
    """The environment variables that are read (the aliases), for the fields of `StreamSettings`.

    Their ranges are narrow, so everything works well; flags and files may go beyond.
    """

    model: str | None = Field(None, alias="DEMUCS_MODEL")
    overlap: float | None = Field(None, alias="DEMUCS_OVERLAP", ge=0.1, le=0.75)
    shifts: int | None = Field(None, alias="DEMUCS_SHIFTS", ge=0, le=4)
    sample_format: Annotated[
        bool | None, AfterValidator(lambda wanted: "float32" if wanted else "int16")
    ] = Field(None, alias="USE_FLOAT32", examples=["true"])
    torch_num_threads: int | None = Field(None, alias="TORCH_NUM_THREADS", ge=1, le=MOST_THREADS)


def flag(name: str, value: object = None) -> str:
    """Return the flag of a field, or of one value of it."""
    if name == "model":
        return "--name"
    if name == "sample_format" and value in get_args(SampleFormat):
        return f"--{value}"
    return f"--{'no-' if value is False else ''}{name.replace('_', '-')}"


@overload
def resolve(
    flags: Mapping[str, object],
    environ: Mapping[str, str] = os.environ,
    config: Path | None = None,
    *,
    called: Callable[[str], str] = ...,
) -> Resolved[Settings]: ...


@overload
def resolve(
    flags: Mapping[str, object],
    environ: Mapping[str, str] = os.environ,
    config: Path | None = None,
    *,
    kind: type[Kind],
    called: Callable[[str], str] = ...,
) -> Resolved[Kind]: ...


def resolve(
    flags: Mapping[str, object],
    environ: Mapping[str, str] = os.environ,
    config: Path | None = None,
    *,
    kind: type[Checked] = Settings,
    called: Callable[[str], str] = flag,
) -> Resolved[Any]:
    """Return the settings that apply, and the origin of each.

    ``flags`` are fields of ``kind``; None is a flag that was not given. ``called`` gives what their
    user wrote for a field: a flag, or with ``str`` an argument in Python. ``config`` is a settings
    file in TOML. Without it, `CONFIG_FILE` in the current folder is read if there is one; that file
    may set only harmless fields (`streamer.checked.harmless`).

    Raises:
        SettingsError: a value or a name is wrong, a flag would do nothing beside the others, the
            settings file cannot be read, or a file that nobody named sets a field that is not
            harmless.
    """
    given = {
        **_from_file(config, kind),
        **_from_environment(environ, kind),
        **_from_flags(flags, kind, called),
    }

    def written(name: str) -> str:
        return given[name].written if name in given else called(name)

    try:
        settings = kind(**{name: one.value for name, one in given.items()})
    except RefusedError as refused:
        raise SettingsError(refused.said(written, kind.model_fields)) from None
    idle = settings.idle([name for name, value in flags.items() if value is not None])
    if idle is not None:
        raise SettingsError(ConflictError(idle).said(written))
    origins = dict.fromkeys(kind.model_fields, "default")
    preset = getattr(settings, "preset", None)
    origins.update(dict.fromkeys(preset_values(preset), f"preset {preset}"))
    origins.update({name: one.origin for name, one in given.items()})
    return Resolved(settings, origins)


def _from_flags(
    flags: Mapping[str, object], kind: type[Checked], called: Callable[[str], str]
) -> dict[str, _Given]:
    flags = {name: value for name, value in flags.items() if value is not None}
    _refuse_unknown(flags, kind)
    return {
        name: _Given(value, f"flag {flag(name, value)}", called(name))
        for name, value in flags.items()
    }


def _from_environment(environ: Mapping[str, str], kind: type[Checked]) -> dict[str, _Given]:
    if not issubclass(kind, StreamSettings):
        return {}
    variables = {field.alias or name: name for name, field in Environment.model_fields.items()}
    # an empty variable counts as not set
    found: dict[str, Any] = {
        variable: environ[variable] for variable in variables if environ.get(variable)
    }
    try:
        values = Environment(**found)
    except RefusedError as refused:
        raise SettingsError(refused.said(str, kind.model_fields)) from None
    return {
        name: _Given(getattr(values, name), f"environment {variable}", variable)
        for variable, name in variables.items()
        if variable in found
    }


def _from_file(config: Path | None, kind: type[Checked]) -> dict[str, _Given]:
    """Read the file's top level, for all commands that separate, and the table of this kind."""
    path = config or Path(CONFIG_FILE)
    if config is None and not os.path.isfile(path):  # noqa: PTH113 (False where one may not look)
        return {}
    everywhere = _read_toml(path)
    tables = {name: everywhere.pop(name) for name in TABLES if name in everywhere}
    _refuse_unknown(everywhere, Settings, f"{path}: ")
    values = {
        name: value
        for name, value in everywhere.items()
        if name in kind.model_fields and issubclass(kind, StreamSettings)
    }
    own = tables.get(kind.table, {})
    if not isinstance(own, dict):
        raise SettingsError(f"{path}: {kind.table} must be a table; write [{kind.table}] above it")
    _refuse_unknown(own, kind, f"{path}: [{kind.table}] ")
    values.update(own)
    if config is None:
        _refuse_harmful([*everywhere, *own], kind)
    return {name: _Given(value, str(path), f"{path}: {name}") for name, value in values.items()}


def _refuse_harmful(names: Iterable[str], kind: type[Checked]) -> None:
    fields = {**Settings.model_fields, **kind.model_fields}
    for name in names:
        if not is_harmless(fields[name]):
            raise SettingsError(
                f"{CONFIG_FILE}: {name} may not be set by a file that only lies in the folder; "
                f"give --config {CONFIG_FILE} if you trust the file"
            )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # a pipe may never begin, nor end
            raise SettingsError(f"{path} is no regular file; give --config a settings file in TOML")
        with path.open("rb") as file:
            text = file.read(_LARGEST_BYTES + 1)
        if len(text) > _LARGEST_BYTES:
            raise SettingsError(f"{path} is too large for a settings file; give one in TOML")
        return tomllib.loads(text.decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no valid TOML: {error}; mend that line") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is no text in UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}); give --config a settings file in TOML"
        ) from None
    except SettingsError:
        raise
    except (RecursionError, ValueError):  # nesting, a number of thousands of digits, a NUL in path
        raise SettingsError(
            f"{path!s:.200} is nested deeply, or has a number of thousands of digits; give "
            "--config a settings file in TOML"
        ) from None


def _refuse_unknown(values: Mapping[str, object], kind: type[Checked], place: str = "") -> None:
    for name in values:
        if name not in kind.model_fields:
            raise SettingsError(f"{place}{no_setting(name, kind.model_fields)}")
