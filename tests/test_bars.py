"""Bars that the code stays under, held by its syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIVE = sorted((ROOT / "streamer" / "live").rglob("*.py"))
POKES = {
    "callbacks.py": "it works on records of the native state",
    "hop_loop.py": "it works on records of the native state",
    "ladder.py": "its counters are a record of its own",
    "portaudio.py": "the library is told that its stream is gone",
    "portaudio_library.py": "the library is loaded again",
}


def pokes(tree: ast.Module) -> Iterator[str]:
    """The attributes of other objects that are set."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) != "self"
        ):
            yield f"{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", [path for path in LIVE if path.name not in POKES], ids=str)
def test_no_part_of_a_live_run_sets_an_attribute_of_another(path: Path) -> None:
    assert list(pokes(ast.parse(path.read_text("utf-8")))) == []
