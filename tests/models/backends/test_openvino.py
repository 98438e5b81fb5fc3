"""The backend openvino: its graphs, what it gives, what is kept, how it fails."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import numpy as np
import pytest
import soundfile
import torch

from streamer.errors import ModelError, SettingsError, WeightsError
from streamer.models.backends import openvino_requests
from streamer.models.backends.openvino_graphs import GRAPH, Graphs
from streamer.models.backends.openvino_library import has_openvino
from streamer.models.backends.openvino_separator import OpenVinoSeparator
from streamer.models.backends.torch_separator import TorchSeparator
from streamer.models.networks.checkpoint import read_network
from streamer.models.networks.crop import Crop
from streamer.models.networks.facts import NetworkFacts
from streamer.models.separator import WindowKind

pytestmark = pytest.mark.skipif(not has_openvino(), reason="needs openvino")

APART = {"nfft": 1024, "depth": 3}
FRAMES = 15600
LIVE = WindowKind(1.0, exact=True)
AHEAD = "stemstream-graph"


class Counted:
    """Reads a checkpoint, and counts how often."""

    def __init__(self, path):
        self.path, self.times = path, 0

    def __call__(self):
        self.times += 1
        return read_network(self.path)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where graphs are kept: they are made once for all tests."""
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture
def graphs(make, export, folder):
    path = export(make("htdemucs", **APART), "aaaa0000")
    return Graphs(path, Counted(path), folder)


def separator(graphs, windows=None, precision="float32"):
    return OpenVinoSeparator(
        graphs, graphs.facts(), precision, windows=windows or WindowKind(), threads=1
    )


def deviation_db(expected, got):
    return 10 * np.log10(np.sum(expected**2) / np.sum((expected - got) ** 2))


def test_it_gives_what_torch_gives(make, noise, graphs):
    reference = TorchSeparator(make("htdemucs", **APART), torch.device("cpu"))
    ours = separator(graphs)
    assert (ours.names, ours.samplerate, ours.channels) == (reference.names, 8000, 2)
    assert ours.window_frames == ours.input_frames(1) == reference.window_frames == FRAMES
    windows = noise(2, FRAMES)
    expected = reference(windows)
    got = ours(windows)
    assert (got.shape, got.dtype) == (expected.shape, np.float32)
    assert deviation_db(expected, got) > 110
    wanted = slice(500, 700)
    np.testing.assert_array_equal(ours(windows, wanted), got[:, :, wanted])
    assert not ours(0 * windows).any()


def test_a_network_of_masks_gives_what_torch_gives(make, export, noise, tmp_path):
    network = make("masked", **APART)
    path = export(network, "bbbb0000")
    ours = separator(Graphs(path, Counted(path), tmp_path), LIVE)
    network.use_train_segment = False
    reference = TorchSeparator(network, torch.device("cpu"), window_seconds=1.0)
    windows = noise(1, 8000)
    for wanted in (slice(0, 8000), slice(6000, 6400)):
        assert deviation_db(reference(windows, wanted), ours(windows, wanted)) > 110


def test_a_shorter_window_is_padded_as_the_network_pads_it(make, noise, graphs):
    reference = TorchSeparator(make("htdemucs", **APART), torch.device("cpu"), window_seconds=0.5)
    ours = separator(graphs, WindowKind(0.5))
    windows = noise(1, 4000)
    assert ours.input_frames(1) == 4000
    assert deviation_db(reference(windows), ours(windows)) > 110


def test_a_live_window_is_seen_as_it_is_and_only_its_newest_half_computed(make, noise, graphs):
    network = make("htdemucs", **APART, use_train_segment=False)
    reference = TorchSeparator(network, torch.device("cpu"), window_seconds=1.0)
    ours = separator(graphs, LIVE)
    windows = noise(1, 8000)
    for wanted in (slice(6000, 6400), slice(4000, 8000), slice(3999, 4100)):
        got = ours(windows, wanted)
        assert deviation_db(reference(windows, wanted), got) > 110
    assert {crop.begin for crop in ours._requests._compiled} == {0, 4000 // 256 - 5}


def test_bfloat16_stays_near(make, noise, graphs):
    windows = noise(1, FRAMES)
    exact, got = separator(graphs)(windows), separator(graphs, precision="bfloat16")(windows)
    # where the processor does not have it, this is float32
    assert np.array_equal(exact, got) or deviation_db(exact, got) > 35


def test_several_threads_may_call_it(noise, graphs):
    ours, windows = separator(graphs), noise(4, FRAMES)
    expected = ours(windows)
    with ThreadPoolExecutor(4) as pool:
        for got, one in zip(pool.map(ours, windows[:, np.newaxis]), expected, strict=True):
            np.testing.assert_array_equal(got[0], one)


def test_what_is_kept_needs_no_network(make, export, noise, tmp_path):
    path = export(make("htdemucs", **APART), "aaaa0000")
    first, again = Counted(path), Counted(path)
    expected = separator(Graphs(path, first, tmp_path / "kept"))(noise(1, FRAMES))
    got = separator(Graphs(path, again, tmp_path / "kept"))(noise(1, FRAMES))
    np.testing.assert_array_equal(got, expected)
    assert (first.times, again.times) == (2, 0)  # for its facts, and for its graph
    other = export(make("htdemucs", seed=1, **APART), "bbbb0000")
    assert not np.array_equal(
        separator(Graphs(other, Counted(other), tmp_path / "kept"))(noise(1, FRAMES)), expected
    )
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_graph_is_made_again(make, export, noise, tmp_path, damage):
    path = export(make("htdemucs", **APART), "aaaa0000")
    expected = separator(Graphs(path, Counted(path), tmp_path))(noise(1, FRAMES))
    (graph,) = tmp_path.rglob(GRAPH)
    weights = graph.with_suffix(".bin")
    if damage == "gone":
        weights.unlink()
    else:
        graph.write_text(graph.read_text()[:1000])
    got = separator(Graphs(path, Counted(path), tmp_path))(noise(1, FRAMES))
    np.testing.assert_array_equal(got, expected)


def test_without_a_folder_to_keep_them_graphs_go_with_the_process(make, export, noise, tmp_path):
    path = export(make("htdemucs", **APART), "aaaa0000")
    (tmp_path / "file").touch()
    graphs = Graphs(path, Counted(path), tmp_path / "file" / "below")
    assert separator(graphs)(noise(1, FRAMES)).any()
    place = graphs.get(Crop.whole(FRAMES, 256))
    assert place.is_file()
    assert tmp_path not in place.parents


def test_a_graph_is_kept_even_if_tidying_fails(make, export, tmp_path, monkeypatch):
    def failing(*_):
        raise OSError

    path = export(make("htdemucs", **APART), "aaaa0000")
    monkeypatch.setattr("streamer.models.backends.openvino_graphs.remove_unused", failing)
    place = Graphs(path, Counted(path), tmp_path / "kept").get(Crop.whole(FRAMES, 256))
    assert tmp_path / "kept" in place.parents


def test_the_facts_of_a_network_survive_the_disk(make, export, folder):
    for kind, changes in (("htdemucs", APART), ("hdemucs", {"segment": 1.7}), ("demucs", {})):
        network = make(kind, **changes)
        path = export(network, f"{kind}0000")
        for _ in range(2):
            graphs = Graphs(path, Counted(path), folder)
            found = graphs.facts()
            assert found == NetworkFacts.of(network)
            assert type(found.window_seconds) is type(network.segment)
        assert graphs._read.times == 0


def test_numbers_that_are_none_are_told(make, export, noise, tmp_path):
    network = make("htdemucs", **APART)
    next(network.parameters()).data.fill_(float("nan"))
    path = export(network, "aaaa0000")
    with pytest.raises(ModelError, match="no numbers"):
        separator(Graphs(path, Counted(path), tmp_path))(noise(1, FRAMES))


def test_wrong_windows_are_told(graphs):
    with pytest.raises(SettingsError, match=r"window=2 must be at most 1\.95 seconds"):
        separator(graphs, WindowKind(2))
    with pytest.raises(SettingsError, match="less than one frame"):
        separator(graphs, WindowKind(1e-5))


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        Graphs(tmp_path / "none.safetensors", lambda: None, tmp_path)


CONVERTING = """
import sys
import torch
from streamer.models.backends.openvino_library import load_openvino

for _ in range(2):
    openvino = load_openvino()
assert not [one for one in sys.modules if "ovc" in one or "telemetry" in one]
traced = torch.jit.trace(torch.nn.ReLU(), torch.zeros(3))
model = openvino.convert_model(traced, input=[[3]])  # as another part of a program may
assert model.output(0).shape == [3]
assert sys.modules["openvino_telemetry"] is None
"""


def test_the_converter_is_loaded_when_it_is_called_and_nothing_is_sent_home():
    subprocess.run([sys.executable, "-c", CONVERTING], check=True)


def test_a_graph_on_disk_is_loaded_ahead_and_one_that_is_not_waits(
    make, export, noise, tmp_path, monkeypatch
):
    by = []
    load = openvino_requests.load_graph

    def load_noted(*of):
        by.append(threading.current_thread().name)
        return load(*of)

    monkeypatch.setattr(openvino_requests, "load_graph", load_noted)
    path = export(make("htdemucs", **APART), "aaaa0000")
    graphs = Graphs(path, Counted(path), tmp_path)
    separator(graphs).load_ahead()
    assert AHEAD not in [thread.name for thread in threading.enumerate()]
    expected = separator(graphs)(noise(1, FRAMES))
    ours = separator(graphs)
    ours.load_ahead()
    (ahead,) = [thread for thread in threading.enumerate() if thread.name == AHEAD]
    ahead.join()
    assert np.array_equal(ours(noise(1, FRAMES)), expected)
    assert by == ["MainThread", AHEAD]


def test_a_folder_that_may_not_be_entered_is_none(noise, make, export, tmp_path, monkeypatch):
    path = export(make("htdemucs", **APART), "aaaa0000")
    ours = separator(Graphs(path, Counted(path), tmp_path))

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        ours.load_ahead()
    assert np.isfinite(ours(noise(1, FRAMES))).all()


def test_what_goes_wrong_ahead_is_told_at_the_first_window(noise, graphs, monkeypatch):
    separator(graphs)(noise(1, FRAMES))
    failing = Mock(side_effect=ModelError("no room"))
    monkeypatch.setattr(openvino_requests, "load_graph", failing)
    ours = separator(graphs)
    ours.load_ahead()
    with pytest.raises(ModelError, match="no room"):
        ours(noise(1, FRAMES))
    assert failing.call_count == 2


def test_signals_are_handled_when_separators_have_gone(noise, graphs):
    separators = [separator(graphs), separator(graphs)]
    for ours in separators:
        ours(noise(1, FRAMES))
    del ours
    while separators:
        del separators[0]  # the stack of the later one was put back to that of the earlier
    before = signal.signal(signal.SIGUSR1, lambda *_: noted.append(True))
    noted = []
    signal.raise_signal(signal.SIGUSR1)  # ended the process
    signal.signal(signal.SIGUSR1, before)
    assert noted


def test_a_plain_file_is_separated_without_torch_numba_and_ffmpeg(make, export, noise, tmp_path):
    path = export(make("htdemucs", **APART), "cccc0000")
    song = tmp_path / "song.wav"
    soundfile.write(song, noise(1, 8000)[0], 8000)
    code = (
        "import sys, streamer;"
        f"streamer.separate({str(song)!r}, model={str(path)!r}, backend='openvino', device='cpu',"
        f" out={str(tmp_path / 'out')!r}, overwrite=True);"
        "print(*{'torch', 'numba', 'av', 'mutagen'} & set(sys.modules))"
    )
    for expected in (None, ""):  # the first run makes the graph, for which it needs torch
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert expected is None or run.stdout.strip() == expected


def test_a_compiled_graph_is_loaded_at_the_next_start_not_compiled_again(
    make, export, noise, tmp_path
):
    path = export(make("htdemucs", **APART), "dddd0000")
    for kept in (False, True):
        ours = separator(Graphs(path, Counted(path), tmp_path))
        ours(noise(1, FRAMES))
        (compiled,) = ours._requests._compiled.values()
        assert compiled.get_property("LOADED_FROM_CACHE") is kept
