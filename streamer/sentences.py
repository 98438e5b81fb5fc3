"""The words for settings: what a field may be, and what is wrong with a value, in one sentence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from streamer.errors import SettingsError
from streamer.words import nearest

_LONGEST_SHOWN: Final = 80
_NAMES_IN_DEMUCS: Final = {"segment": "window"}


class ConflictError(ValueError):
    """Settings that exclude each other. The sentence has their names in braces."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence
        super().__init__(self.said(lambda name: name))

    def said(self, written: Callable[[str], str]) -> str:
        """Return the sentence with the settings as their user wrote them."""
        return re.sub(r"\{(\w+)\}", lambda name: written(name[1]), self._sentence)


class RefusedError(SettingsError):
    """Settings with a wrong value or name. The message has the names of the fields; `said` has
    them as the user wrote them.
    """

    def __init__(self, model: type[BaseModel], error: ValidationError) -> None:
        self._model, self._error = model, error
        super().__init__(self.said(str, model.model_fields))

    def __reduce__(self) -> tuple[type[SettingsError], tuple[str]]:
        return SettingsError, (str(self),)  # what another process gets

    def said(self, written: Callable[[str], str], settings: Mapping[str, FieldInfo]) -> str:
        """Return the first thing that is wrong: "name=value must be ...; try ...".

        ``written`` makes what the user wrote of a name (or of an alias, where the field has one).
        The fields of ``settings`` give values that work.
        """
        first = self._error.errors(include_url=False)[0]
        own_words = first.get("ctx", {}).get("error")
        value = _shortened(first["input"])
        if isinstance(own_words, ConflictError):
            return own_words.said(written)
        if not first["loc"]:
            return f"the settings {value} cannot be read ({own_words}); try texts, numbers or lists"
        called = str(first["loc"][0])
        fields = {field.alias or name: name for name, field in self._model.model_fields.items()}
        if called not in fields:
            return no_setting(called, fields)
        name = fields[called]
        field = self._model.model_fields[name]
        must = own_words or f"must be {allowed(field)}"
        return f"{written(called)}={value} {must}; try {_example(field, settings[name], value)}"


def no_setting(name: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that no setting has."""
    meant = _NAMES_IN_DEMUCS.get(name, name)
    return f"{name} is no setting; {nearest(meant, known)}"


def allowed(field: FieldInfo) -> str:
    """Return in words what a field may be: "a whole number between 0 and 100"."""
    kind = _kind(field)
    if kind is bool:
        return "true or false"
    if kind not in (int, float):
        choices = get_args(kind)
        return f"one of {', '.join(choices)}" if get_origin(kind) is Literal else "text"
    low, over, high = (
        next((getattr(rule, limit) for rule in field.metadata if hasattr(rule, limit)), None)
        for limit in ("ge", "gt", "le")
    )
    whole = "a whole number " if kind is int else ""
    if high is not None and over is not None:
        return f"{whole}over {over:g} and at most {high:g}"
    if high is not None:
        return f"{whole}between {low:g} and {high:g}"
    return f"{whole}over {over:g}" if over is not None else f"{whole}from {low:g} up"


def _example(field: FieldInfo, setting: FieldInfo, wrong: str) -> str:
    """Return a value that works: the choice closest to the given one, else a usual one."""
    usual = [*(field.examples or ()), *(setting.examples or ()), setting.default]
    choices = get_args(_kind(field)) if get_origin(_kind(field)) is Literal else ()
    return shown([*difflib.get_close_matches(wrong, choices, n=1), *usual][0])


def _kind(field: FieldInfo) -> Any:
    """Return the type of a field, without "or None"."""
    kinds = get_args(field.annotation)
    return kinds[0] if NoneType in kinds else field.annotation


def shown(value: object) -> str:
    """Return a value as a settings file or a flag writes it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _shortened(value: object) -> str:
    try:
        text = " ".join(shown(value).splitlines())
    except Exception:  # a foreign object may do anything; a number may have 5,000 digits
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
