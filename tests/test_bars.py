"""Bars that the code stays under, held by its syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = [
    path for room in ("streamer", "ringbuffer", "cli") for path in (ROOT / room).rglob("*.py")
]
LIVE = [path for path in MODULES if path.is_relative_to(ROOT / "streamer" / "live")]

MOST_LINES = 400
MOST_FUNCTION_LINES = 50
MOST_PARAMETERS = 7
LONG = ROOT / "streamer" / "live" / "realtime" / "callbacks.py"
"""What devices call is in one file, but for their clocks, under a banner with its rules."""
REASON = "Many parameters:"
POKES = {
    "callbacks.py": "it works on records of the native state",
    "device_clock.py": "it works on records of the native state",
    "hop_loop.py": "it works on records of the native state",
    "jack_callbacks.py": "it works on records of the native state",
    "ladder.py": "its counters are a record of its own",
    "portaudio.py": "the library is told that its stream is gone",
    "portaudio_library.py": "the library is loaded again",
}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def functions(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Each function, and its docstring; of a constructor that of its class."""
    for node in ast.walk(tree):
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.FunctionDef):
                told = node if inner.name == "__init__" else inner
                assert isinstance(told, ast.ClassDef | ast.FunctionDef)
                yield inner, ast.get_docstring(told) or ""


def parameters(function: ast.FunctionDef) -> list[str]:
    taken = function.args
    several = [one for one in (taken.vararg, taken.kwarg) if one is not None]
    named = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, *several]
    return [one.arg for one in named if one.arg not in ("self", "cls")]


def is_command(function: ast.FunctionDef) -> bool:
    """Whether each of its parameters is a flag, and its docstring is what the help shows."""
    return any(ast.unparse(one).startswith("with_settings(") for one in function.decorator_list)


def test_no_module_is_too_long() -> None:
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in MODULES if path != LONG}
    assert {str(path): count for path, count in lines.items() if count > MOST_LINES} == {}


def test_no_function_is_too_long() -> None:
    long = [
        f"{path}:{one.lineno} {one.name}"
        for path in MODULES
        for one, _ in functions(tree_of(path))
        if (one.end_lineno or 0) - one.lineno >= MOST_FUNCTION_LINES
    ]
    assert long == []


def test_no_function_takes_many_parameters_without_a_reason() -> None:
    many = [
        f"{path}:{one.lineno} {one.name}"
        for path in MODULES
        for one, told in functions(tree_of(path))
        if len(parameters(one)) > MOST_PARAMETERS and REASON not in told and not is_command(one)
    ]
    assert many == []


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
    assert list(pokes(tree_of(path))) == []
