"""The public API is what `streamer.__all__` names: no more, and no less."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import streamer


def named_for_type_checkers() -> set[str]:
    """What the package imports where types are checked."""
    tree = ast.parse(Path(streamer.__file__).read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return {alias.name for node in ast.walk(block) for alias in getattr(node, "names", ())}


def test_all_is_exactly_what_is_exported() -> None:
    lazy = {name for names in streamer._HOMES.values() for name in names}
    assert set(streamer.__all__) == lazy | {"__version__"} == set(dir(streamer))
    assert named_for_type_checkers() == lazy
    assert len(streamer.__all__) == len(set(streamer.__all__))


@pytest.mark.parametrize("name", streamer.__all__)
def test_a_public_name_says_what_it_is(name: str) -> None:
    assert getattr(streamer, name).__doc__


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = streamer.nothing


def test_the_public_names_cost_nothing_until_they_are_used() -> None:
    heavy = {"torch", "numpy", "numba", "sounddevice", "pydantic"}
    code = f"import sys, streamer; dir(streamer); print({heavy!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
