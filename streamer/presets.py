"""Presets: names for sets of settings that go well together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

Preset: TypeAlias = Literal["AUDIOPHILE", "PRODUCTION", "DEVELOPMENT", "FAST"]

PRESETS: Final[Mapping[Preset, Mapping[str, object]]] = {
    "AUDIOPHILE": {
        "model": "htdemucs_ft",
        "overlap": 0.75,
        "shifts": 4,
        "sample_format": "float32",
    },
    "PRODUCTION": {
        "model": "htdemucs_ft",
        "overlap": 0.25,
        "shifts": 2,
        "sample_format": "float32",
    },
    "DEVELOPMENT": {
        "model": "htdemucs",
        "overlap": 0.15,
        "shifts": 1,
        "sample_format": "int16",
    },
    "FAST": {
        "model": "htdemucs_quantized",
        "overlap": 0.10,
        "shifts": 0,
        "sample_format": "int16",
    },
}


def in_capitals(value: object) -> object:
    """Return a text in capitals, as presets are named; anything else as it is."""
    return value.upper() if isinstance(value, str) else value


def preset_values(preset: object) -> Mapping[str, object]:
    """Return the values of a preset; nothing if there is no such preset."""
    name = in_capitals(preset) if isinstance(preset, str) else ""
    return next((values for known, values in PRESETS.items() if known == name), {})
