"""Whatever happens to what OpenVINO's graphs are kept in, the stems are the same, to the bit."""

from __future__ import annotations

import itertools
import json
import os
import random

import numpy as np
import pytest

from streamer.cache import SUMS
from streamer.models.backends.openvino_graphs import GRAPH, Graphs
from streamer.models.backends.openvino_library import has_openvino
from streamer.models.backends.openvino_separator import OpenVinoSeparator
from streamer.models.networks.checkpoint import read_network
from streamer.models.separator import WindowKind

pytestmark = pytest.mark.skipif(not has_openvino(), reason="needs openvino")

FRAMES = 15600
KINDS = ("flip", "cut", "grow", "empty", "gone", "pipe", "loop", "link", "folder", "deep", "types")


@pytest.fixture
def stems(make, export, noise, tmp_path):
    """Separates with what is kept in a folder, as a new process would."""
    path = export(make("htdemucs", nfft=1024, depth=3), "aaaa0000")
    windows = noise(1, FRAMES)

    def run():
        graphs = Graphs(path, lambda: read_network(path), tmp_path / "kept")
        separator = OpenVinoSeparator(
            graphs, graphs.facts(), "float32", windows=WindowKind(), threads=1
        )
        return separator(windows)

    return run


def damage(path, kind, draw):
    data = bytearray(path.read_bytes())
    at = draw.randrange(len(data))
    other = path.with_name("elsewhere")
    path.chmod(0o600)
    if kind == "flip":
        data[at] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
    elif kind in ("cut", "empty", "grow"):
        path.write_bytes({"cut": data[:at], "empty": b"", "grow": data + b"\0"}[kind])
    elif kind == "deep":
        path.write_bytes(b"[" * 100_000)
    elif kind == "types":
        wrong = draw.choice([None, -1, 1e99, "x", [], {}, True, [[1]]])
        path.write_text(json.dumps({"layout": 3, "value": wrong, "names": wrong}))
    else:
        path.unlink()
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "loop":
            path.symlink_to(path)
        elif kind == "link":
            other.write_bytes(data)
            path.symlink_to(other)
        elif kind == "folder":
            path.mkdir()


def test_a_damaged_cache_gives_the_same_stems(stems, tmp_path):
    draw = random.Random(18)
    kept = tmp_path / "kept"
    expected = stems()
    assert {path.name for path in kept.rglob("*")} >= {GRAPH, "graph.bin", SUMS}
    assert list(kept.rglob("*.json"))
    assert list(kept.rglob("*.blob"))
    patterns = ("*.bin", GRAPH, "*.json", "*.blob", SUMS)
    # each file meets two kinds or three: all pairs would take minutes
    for kind, pattern in zip(KINDS, itertools.cycle(patterns)):
        files = sorted(path for path in kept.rglob(pattern) if path.is_file())
        assert files, (kind, pattern, sorted(kept.rglob("*")))
        damage(draw.choice(files), kind, draw)
        np.testing.assert_array_equal(stems(), expected, err_msg=f"{kind} {pattern}")
        if pattern in ("*.bin", "*.json"):
            assert len(list(kept.rglob(pattern))) == 1  # rebuilt, and nothing is left behind


@pytest.mark.parametrize("what", ["pipe", "loop", "unreadable", "file"])
def test_a_folder_that_is_none_is_made_again(stems, tmp_path, what):
    expected = stems()
    for folder in [path for path in (tmp_path / "kept").glob("*/*") if path.is_dir()]:
        moved = folder.rename(tmp_path / folder.name)
        if what == "pipe":
            os.mkfifo(folder)
        elif what == "loop":
            folder.symlink_to(folder)
        elif what == "file":
            folder.write_bytes(b"")
        else:
            moved.rename(folder).chmod(0)
    np.testing.assert_array_equal(stems(), expected)
    graphs = list((tmp_path / "kept").rglob(GRAPH))
    assert len(graphs) == 1
    assert not graphs[0].parent.is_symlink()


def test_another_users_graph_is_not_taken(stems, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root, to give files away")
    expected = stems()
    (graph,) = (tmp_path / "kept").rglob("graph.bin")
    os.chown(graph, 12345, 12345)
    np.testing.assert_array_equal(stems(), expected)
    (graph,) = (tmp_path / "kept").rglob("graph.bin")
    assert graph.stat().st_uid == 0
