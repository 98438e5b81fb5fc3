"""What comes with an extra and is not here: one sentence has the command that brings it."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
EXTRAS: dict[str, list[str]] = tomllib.loads(PROJECT.read_text())["project"][
    "optional-dependencies"
]
OF_A_CHECKOUT = {"bench", "dev"}
"""What bench/ and tests/ import. No command does."""
COMMANDS = {
    "demo": "demo",
    "diffq": "separate -n mdx_q song.wav",
    "midi": "live --input song.wav --midi nano",
    "openvino": "separate --backend openvino song.wav",
    "page": "live --input song.wav --page 0",
    "ray": "batch --engine ray song.wav",
    "store": "batch s3://bucket/songs",
    "system": "live --system",
    "train": "train --data songs --out out",
}
MODULES = {"python-rtmidi": "rtmidi"}
"""Modules whose names are not those of their packages."""


def modules(extra: str) -> list[str]:
    names = [re.split(r"[<>=;\[ ]", requirement)[0] for requirement in EXTRAS[extra]]
    return [MODULES.get(name, name.replace("-", "_")) for name in names]


def test_each_extra_has_a_command_that_asks_for_it() -> None:
    assert COMMANDS.keys() == EXTRAS.keys() - OF_A_CHECKOUT


@pytest.mark.parametrize(
    ("extra", "module"),
    [(extra, module) for extra in COMMANDS for module in modules(extra)],
)
def test_what_is_not_installed_is_told_with_the_command_that_brings_it(
    extra: str,
    module: str,
    stemstream: Run,
    song: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    song()
    for loaded in list(sys.modules):  # what has it would not ask for it again
        if loaded.split(".")[0] in modules(extra) or ".control.page." in loaded:
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    outcome = stemstream(*COMMANDS[extra].split())
    assert f"pip install 'stemstream[{extra}]'" in outcome.complaint
