"""The runner of NVIDIA GPUs. What needs one is skipped elsewhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from streamer.models import load
from streamer.models.backends.cuda import MOST_WINDOWS, fitting_windows
from streamer.models.backends.sparing import SparingSeparator
from streamer.models.backends.torch_separator import TorchSeparator

GB = 10**9
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


@pytest.mark.parametrize(
    ("free", "window", "fit"),
    [
        (80 * GB, 2 * GB, MOST_WINDOWS),
        (10 * GB, 2 * GB, 4),
        (9 * GB, 2 * GB, 3),
        (1 * GB, 2 * GB, 1),
        (0, 2 * GB, 1),
        (10 * GB, 0, MOST_WINDOWS),
    ],
)
def test_a_batch_leaves_some_memory_free(free, window, fit):
    assert fitting_windows(free, window) == fit


@needs_cuda
@pytest.mark.parametrize("kind", ["htdemucs", "hdemucs"])
def test_a_gpu_gives_what_the_cpu_gives(make, noise, kind):
    network = make(kind)
    given = noise(6, 15600)
    expected = TorchSeparator(network, torch.device("cpu"))(given)
    separator = TorchSeparator(make(kind), torch.device("cuda"))
    for some in (slice(0, 1), slice(1, 2), slice(0, 4), slice(2, 3), slice(5, 6)):
        np.testing.assert_allclose(separator(given[some]), expected[some], atol=1e-3)


@needs_cuda
def test_a_graph_is_captured(make, noise):
    separator = TorchSeparator(make("htdemucs"), torch.device("cuda"))
    separator(noise(1, 15600))
    assert separator._cuda is not None
    assert separator._cuda._forward._graph is not None


@needs_cuda
def test_calls_of_several_threads_do_not_mix(make, noise):
    separator = TorchSeparator(make("htdemucs"), torch.device("cuda"))
    given = noise(16, 15600)
    expected = [separator(one[np.newaxis]) for one in given]
    with ThreadPoolExecutor(2) as pool:
        for stems, alone in zip(
            pool.map(lambda one: separator(one[np.newaxis]), given), expected, strict=True
        ):
            np.testing.assert_array_equal(stems, alone)


@needs_cuda
def test_a_model_on_a_gpu_knows_its_load(noise):
    separator = load("htdemucs_mini", device="cuda").members[0].separator
    assert isinstance(separator, SparingSeparator)
    assert 1 <= separator.best_load().windows <= MOST_WINDOWS
