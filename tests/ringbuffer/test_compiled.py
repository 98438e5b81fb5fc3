"""Compiled functions are kept where that works, and run where it does not."""

from __future__ import annotations

import ast
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import types
from numba.core.errors import NumbaError

from ringbuffer.atomics import float32_at, int64_at
from ringbuffer.compiled import c_function, compiled

ROOT = Path(__file__).parents[2]
PACKAGES = ("ringbuffer", "streamer", "cli")
MODULE = """
from ringbuffer.compiled import c_function, compiled
from numba import types

@compiled(types.int64(types.int64))
def twice(x):
    return 2 * x

@compiled()
def thrice(x):
    return 3 * x

@c_function(types.int64(types.int64))
def again(x):
    return twice(x) + 1

print(twice(4), thrice(4), again.ctypes(4), again.cache_hits)
"""


def run(folder, **environment):
    """Run the module as another process; return what it printed and what it told."""
    done = subprocess.run(
        [sys.executable, folder / "module.py"],
        capture_output=True,
        text=True,
        # whatever PYTHONSAFEPATH says, the module finds those beside it
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


@pytest.fixture
def module(tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "module.py").write_text(MODULE)
    return folder


def test_every_function_is_compiled_by_our_own_decorator():
    """Numba's own fail where there is no place for a cache."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if path == ROOT / "ringbuffer" / "compiled.py":
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                names = {getattr(node, "attr", ""), getattr(node, "id", "")}
                if isinstance(node, ast.ImportFrom):
                    names |= {alias.name for alias in node.names}
                assert not names & {"njit", "cfunc", "vectorize", "guvectorize"}, path


def makes_an_array(count):
    return np.ones(count).size


def makes_a_list(count):
    return len([count])


def adds_arrays(values):
    values[0] = (values + values)[1]


def copies_an_array(values):
    values[:] = values[::-1]


def returns_a_view(values):
    return values[1:]


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (makes_an_array, 3),
        (makes_a_list, 3),
        (adds_arrays, np.ones(3)),
        (copies_an_array, np.ones(3)),
        (returns_a_view, np.ones(3)),
    ],
)
@pytest.mark.parametrize("any_order", [False, True])
def test_what_would_take_memory_is_refused_in_plain_words(function, argument, any_order):
    """Else a callback may wait for the allocator, when a block is due."""
    with pytest.raises(NumbaError) as refusal:
        compiled(any_order=any_order)(function)(argument)
    assert refusal.value.__notes__ == [
        "compiled code takes no memory and returns no array that it makes: make it outside, and "
        "pass it as an argument; go through an array by its elements, not as a whole"
    ]


def test_what_would_take_memory_is_refused_where_its_types_are_told_and_for_c():
    signature = types.int64(types.int64)
    for decorate in (compiled(signature), c_function(signature)):
        with pytest.raises(NumbaError) as refusal:
            decorate(makes_an_array)
        assert "takes no memory" in "".join(refusal.value.__notes__)


def test_another_mistake_is_not_called_an_allocation():
    with pytest.raises(NumbaError) as refusal:
        compiled(types.int64(types.int64))(lambda count: count.missing)
    assert not hasattr(refusal.value, "__notes__")


def test_an_array_at_an_address_is_a_view_that_takes_no_memory():
    @compiled()
    def halve(address, floats):
        words, samples = int64_at(address, 3), float32_at(floats, 2, 3)
        words[2] //= 2
        for frame in range(samples.shape[0]):
            for channel in range(samples.shape[1]):
                samples[frame, channel] /= 2
        return words.size + samples.size

    words, samples = np.arange(4) * 10, np.arange(7, dtype=np.float32)
    assert halve(words.ctypes.data, samples.ctypes.data) == 9
    np.testing.assert_array_equal(words, [0, 10, 10, 30])
    np.testing.assert_array_equal(samples, [0, 0.5, 1, 1.5, 2, 2.5, 6])


def test_what_is_compiled_is_kept(module, tmp_path):
    place = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    assert run(module, **place) == (["8", "12", "9", "0"], "")
    assert run(module, **place)[0][-1] == "1"


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_is_compiled_again(module, tmp_path, seed):
    draw = random.Random(seed)
    place = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    run(module, **place)
    files = sorted((tmp_path / "kept").rglob("module.*.nb?"))
    assert len(files) == 6
    for path in files:
        data = bytearray(path.read_bytes())
        at = draw.randrange(len(data))
        damage = draw.choice(["flip", "cut", "empty", "pipe", "loop", "folder"])
        if damage == "flip":
            data[at] ^= 1 << draw.randrange(8)
            path.write_bytes(data)
        elif damage in ("cut", "empty"):
            path.write_bytes(data[: at if damage == "cut" else 0])
        else:
            path.unlink()
            if damage == "pipe":
                os.mkfifo(path)
            elif damage == "loop":
                path.symlink_to(path)
            else:
                path.mkdir()
    assert run(module, **place)[0][:3] == ["8", "12", "9"]


def test_what_a_function_is_made_of_counts_for_what_is_kept(module, tmp_path):
    """Its machine code holds that of the functions it calls, and constants, of other files too."""
    place = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    (module / "module.py").write_text(
        "from ringbuffer.compiled import compiled\n"
        "from middle import twice_and\n"
        "from numbers_of_ours import THREE\n\n"
        "@compiled()\n"
        "def caller(x):\n"
        "    return twice_and(x) + THREE\n\n"
        "print(caller(4))\n"
    )
    (module / "middle.py").write_text(
        "from ringbuffer.compiled import compiled\n"
        "from leaf import twice\n\n"
        "@compiled()\n"
        "def twice_and(x):\n"
        "    return twice(x)\n"
    )
    leaf = "from ringbuffer.compiled import compiled\n\n@compiled()\ndef twice(x):\n    return {}\n"
    (module / "leaf.py").write_text(leaf.format("2 * x"))
    (module / "numbers_of_ours.py").write_text("THREE = 3\n")
    assert run(module, **place)[0] == ["11"]
    (module / "numbers_of_ours.py").write_text("THREE = 300\n")
    assert run(module, **place)[0] == ["308"]
    (module / "leaf.py").write_text(leaf.format("20 * x"))
    assert run(module, **place)[0] == ["380"]


def test_what_is_defined_below_a_function_counts_too(module, tmp_path):
    """Else an edited function would run as it was, in all that call it from above."""
    place = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    (module / "module.py").write_text(
        "from ringbuffer.compiled import compiled\n"
        "from leaf import twice\n\n"
        "@compiled()\n"
        "def caller(x):\n"
        "    return below(x)\n\n"
        "@compiled(inlined=True)\n"
        "def below(x):\n"
        "    return twice(x)\n\n"
        "print(caller(4))\n"
    )
    leaf = "from ringbuffer.compiled import compiled\n\n@compiled()\ndef twice(x):\n    return {}\n"
    (module / "leaf.py").write_text(leaf.format("2 * x"))
    assert run(module, **place)[0] == ["8"]
    (module / "leaf.py").write_text(leaf.format("20 * x"))
    assert run(module, **place)[0] == ["80"]


def test_code_that_was_read_before_its_file_changed_is_not_kept_as_the_new(module, tmp_path):
    """As where a package is updated while a program of it runs."""
    place = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    source = (
        "import pathlib\n"
        "from ringbuffer.compiled import compiled\n\n"
        "@compiled()\n"
        "def scaled(x):\n"
        "    return 2 * x\n\n"
        "path = pathlib.Path(__file__)\n"
        "path.write_text(path.read_text().replace('2 *', '20 *'))\n"
        "print(scaled(4))\n"
    )
    (module / "module.py").write_text(source)
    assert run(module, **place)[0] == ["8"]
    assert run(module, **place)[0] == ["80"]


def test_a_record_with_another_layout_is_compiled_again(module, tmp_path):
    """Else the code would read what lies beside a field."""
    place = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    (module / "module.py").write_text(
        "import numpy as np\n"
        "from layouts import PAIR\n"
        "from ringbuffer.compiled import compiled\n\n"
        "@compiled()\n"
        "def second(words):\n"
        "    return words.view(PAIR)[0].b\n\n"
        "print(second(np.array([1, 2], np.int64)))\n"
    )
    layout = "import numpy as np\n\nPAIR = np.dtype([(name, np.int64) for name in '{}'])\n"
    (module / "layouts.py").write_text(layout.format("ab"))
    assert run(module, **place)[0] == ["2"]
    # of another size: Python takes a file of the same size and second for the same
    (module / "layouts.py").write_text(layout.format("ba") + "\n")
    assert run(module, **place)[0] == ["1"]


def test_a_full_disk_is_told_once(module, small_disk):
    (small_disk / "filler").write_bytes(bytes(240 * 1024))
    numbers, told = run(module, NUMBA_CACHE_DIR=str(small_disk))
    assert numbers[:3] == ["8", "12", "9"]
    assert told.count("compiled code cannot be kept (No space left on device)") == 1


def test_nothing_to_write_to_is_told_once(module, read_only_disk):
    """As for a service: an installation that it may not write to, and no home."""
    shell = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", shell, module]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount: run as root")
    done = subprocess.run(
        [*command, sys.executable, module / "module.py"],
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(read_only_disk),
            "XDG_CACHE_HOME": str(read_only_disk),
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:3] == ["8", "12", "9"]
    assert done.stderr.count("compiled code cannot be kept (there is no folder for it)") == 1
