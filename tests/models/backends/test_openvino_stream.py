"""The causal network in OpenVINO: what torch gives, hop by hop, with a state for each stream."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.streams import assert_same_stream

from streamer.errors import ModelError
from streamer.models.backends.openvino_graphs import Graphs
from streamer.models.backends.openvino_library import has_openvino
from streamer.models.backends.openvino_stream import OpenVinoStreamSeparator
from streamer.models.backends.torch_stream import TorchStreamSeparator
from streamer.models.choice import Backend
from streamer.models.loading import load
from streamer.models.networks.causal import CausalBandSplit
from streamer.models.networks.causal_shape import HOP
from streamer.models.networks.checkpoint import read_network, write_network

pytestmark = pytest.mark.skipif(not has_openvino(), reason="needs openvino")

SOURCES = ["drums", "bass", "other", "vocals"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    torch.manual_seed(0)
    network = CausalBandSplit(SOURCES, width=16, depth=2, hidden=16)
    made = tmp_path_factory.mktemp("causal") / "small.safetensors"
    write_network(network, made)
    return made


@pytest.fixture(scope="module")
def graphs(path):
    return Graphs(path, lambda: read_network(path), path.parent / "graphs")


@pytest.fixture
def reference(path):
    return TorchStreamSeparator(read_network(path), torch.device("cpu"))


@pytest.fixture
def ours(graphs):
    return OpenVinoStreamSeparator(graphs, graphs.facts(), window_seconds=None)


def test_a_stream_is_what_torch_gives(ours, reference, noise):
    assert_same_stream(ours, reference, noise(1, 40 * HOP)[0])


@pytest.mark.parametrize("frames", [1, HOP, 5000])
def test_windows_are_short_songs(ours, reference, noise, frames):
    windows, wanted = noise(2, frames), slice(frames // 3, frames // 2 + 1)
    np.testing.assert_allclose(ours(windows, wanted), reference(windows, wanted), atol=1e-5)


def test_what_is_no_number_is_said(ours):
    with pytest.raises(ModelError, match="no numbers"):
        ours.begin()(np.full((HOP, 2), np.nan, np.float32))


def test_it_is_chosen_where_it_is_faster_and_never_in_half_the_digits(path):
    bag = load(str(path), backend="openvino")
    assert isinstance(bag.members[0].separator, OpenVinoStreamSeparator)
    asked = []

    class Asked:
        def known(self, subject, backends):
            asked.append(backends)
            return Backend("openvino", "float32")

    load(str(path), precision="bfloat16", choices=Asked())
    assert asked == [
        (
            Backend("torch", "float32"),
            Backend("torch", "bfloat16"),
            Backend("openvino", "float32"),
            Backend("native", "float32"),
        )
    ]
