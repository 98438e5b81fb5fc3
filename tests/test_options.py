"""What signatures say they take is what the settings take: neither is defined twice."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from streamer.models.request import ModelOptions, ModelRequest
from streamer.options import FileOptions, StreamOptions
from streamer.settings import Settings, StreamSettings


def choices(kind: Any) -> set[Any]:
    """The types and the literal values that a type hint lets in."""
    if get_origin(kind) in (Union, types.UnionType):
        return set().union(*map(choices, get_args(kind)))
    return set(get_args(kind)) if get_origin(kind) is Literal else {kind}


SPELLINGS = {Path: {Path, str}, tuple[str, ...]: {Sequence[str], str}}
"""How a value may be written that becomes something else when it is checked."""


@pytest.mark.parametrize(
    ("options", "kind"), [(StreamOptions, StreamSettings), (FileOptions, Settings)]
)
def test_options_are_the_fields_of_the_settings(options: type, kind: type[StreamSettings]) -> None:
    hints = get_type_hints(options)
    assert list(hints) == list(kind.model_fields)
    for name, field in kind.model_fields.items():
        wanted = (SPELLINGS.get(one, {one}) for one in choices(field.annotation))
        assert choices(hints[name]) == set().union(*wanted), name


def test_the_options_of_a_model_are_the_fields_of_its_request() -> None:
    request = get_type_hints(ModelRequest)
    assert list(request) == [field.name for field in fields(ModelRequest)]
    assert {"name": str, **get_type_hints(ModelOptions)} == request
