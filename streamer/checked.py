"""What settings of every kind share: their base class, and fields that several have.

::

    class MixSettings(Checked):
        gain: float = harmless(1.0, panel="Sound", ge=0, le=4, description="how loud")

    MixSettings(gain=5)      # SettingsError: gain=5 must be between 0 and 4; try 1.0
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from streamer.sentences import RefusedError

MOST_THREADS: Final = 1024
MOST_COUNT: Final = 10**15
"""The limit of numbers without another one: libraries take whole numbers of 64 bits at most."""
MOST_AUDIO_STREAMS: Final = 64
MOST_CHARACTERS: Final = 4096
"""The longest text, as long as the longest path on Linux."""


def not_empty(name: str | None) -> str | None:
    """Refuse an empty text; for a field that is a name."""
    if name == "":
        raise ValueError("must not be empty")
    return name


Name: TypeAlias = Annotated[str, AfterValidator(not_empty)]


def _split(value: object) -> object:
    """Make a list from "vocals, bass"."""
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


def _distinct(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not names or not all(names):
        raise ValueError("must be one or more stems, with commas between")
    return tuple(dict.fromkeys(names))


StemNames: TypeAlias = Annotated[
    tuple[str, ...] | None, BeforeValidator(_split), AfterValidator(_distinct)
]


StreamNumber: TypeAlias = Annotated[
    int | None,
    Field(
        ge=1,
        le=MOST_AUDIO_STREAMS,
        description="which of a file's several streams of audio to read, from 1 [default: the one "
        "that the file calls its default]",
        examples=[2],
    ),
]


def stream_index(number: int | None) -> int | None:
    """Return a `StreamNumber` counted from 0."""
    return None if number is None else number - 1


def harmless(default: Any, *, panel: str, unit: str = "", **rules: Any) -> Any:
    """Make a field that a settings file may set which nobody named, but was found in the folder.

    Such fields say how stems sound and how they are computed. All others are made by `guarded`.
    ``panel`` is the part of the help that shows the flag. ``unit`` is what the help calls its
    value, where that is not the last word of the flag. ``rules`` go to ``pydantic.Field``.
    """
    extra: JsonDict = {"harmless": True, "panel": panel, "unit": unit}
    return Field(default, json_schema_extra=extra, **rules)


def guarded(default: Any, *, panel: str, unit: str = "", **rules: Any) -> Any:
    """Make a field that only a flag, a variable or a file that its user named may set.

    Such fields name paths, hosts, ports, devices or models, replace files, or say what is trusted.
    It takes the arguments of `harmless`.
    """
    extra: JsonDict = {"harmless": False, "panel": panel, "unit": unit}
    return Field(default, json_schema_extra=extra, **rules)


def is_harmless(field: FieldInfo) -> bool:
    """Return whether a field was made by `harmless`."""
    return _extra(field).get("harmless") is True


def panel_of(field: FieldInfo) -> str:
    """Return the part of the help that shows a field's flag."""
    return str(_extra(field)["panel"])


def unit_of(field: FieldInfo) -> str:
    """Return what the help calls a field's value; empty where the field does not say."""
    return str(_extra(field)["unit"])


def _extra(field: FieldInfo) -> Mapping[str, object]:
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {}


class Checked(BaseModel):
    """Settings of any kind.

    ``table`` is the table of a settings file that is for this kind alone, if there is one.

    Raises:
        SettingsError: a value or a name is wrong; one sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    table: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise RefusedError(type(self), error) from None

    def idle(self, asked: Container[str]) -> str | None:  # noqa: ARG002 (for kinds to extend)
        """Return what is wrong where a setting that was asked for does nothing beside the others.

        It is a sentence for a `ConflictError`. ``asked`` has the names of flags or arguments: a
        settings file may also hold what other runs need.
        """
        return None

    @field_validator("*", mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        several = value if isinstance(value, list | tuple) else [value]
        if sum(len(str(one)) for one in several if isinstance(one, str | Path)) > MOST_CHARACTERS:
            raise ValueError(f"must be at most {MOST_CHARACTERS} characters")
        return value
