"""What a CUDA graph needs, with a double that does the work again instead of replaying it."""

from __future__ import annotations

import logging

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from streamer.models.backends.cuda_graphs import GraphedNetwork
from streamer.models.backends.host_values import HostValues
from streamer.models.backends.torch_separator import TorchSeparator
from streamer.models.separator import WHOLE

FRAMES = 15600


class HostReads(TorchDispatchMode):
    """Counts what a graph cannot hold: values of tensors that come to the host."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = func(*args, **(kwargs or {}))
        self.count += isinstance(given, bool | int | float)
        return given


class Recorder:
    """The double: it counts what is captured and replayed."""

    def __init__(self) -> None:
        self.captured = self.replayed = 0

    def __call__(self, function):
        self.captured += 1
        result = function()

        def replay() -> None:
            self.replayed += 1
            result.copy_(function())

        return replay, result


def fail(function):
    raise RuntimeError("operation not permitted when stream is capturing")


def windows(count: int, frames: int = FRAMES, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(count, 2, frames, generator=torch.manual_seed(seed))


def graphed(network, capture) -> GraphedNetwork:
    return GraphedNetwork(network, TorchSeparator(network, torch.device("cpu"))._stems, capture)


@pytest.mark.parametrize("kind", ["htdemucs", "hdemucs"])
def test_nothing_is_read_while_a_network_is_captured(make, kind):
    network, reads, recorder = make(kind), HostReads(), Recorder()
    with torch.no_grad(), reads:
        network(windows(1))
    once = reads.count
    assert once
    captured = graphed(network, recorder)
    with torch.inference_mode(), reads:
        captured(windows(1), WHOLE)
    assert recorder.captured == 1
    assert reads.count == 2 * once, "the warm-up reads; the capture does not"


@pytest.mark.parametrize("kept", [WHOLE, slice(9000, 9500)])
def test_a_replay_separates_what_it_is_given(make, kept):
    network, recorder = make("htdemucs", dconv_mode=0), Recorder()
    replayed = graphed(network, recorder)
    with torch.inference_mode():
        for seed in range(3):
            mix = windows(1, seed=seed)
            torch.testing.assert_close(
                replayed(mix, kept), network(mix)[..., kept], atol=1e-6, rtol=0
            )
    assert (recorder.captured, recorder.replayed) == (1, 2)


def test_batches_are_not_captured(make):
    network, recorder = make("htdemucs"), Recorder()
    whole = graphed(network, recorder)
    with torch.inference_mode():
        for _ in range(2):
            assert torch.equal(whole(windows(2), WHOLE), network(windows(2)))
    assert not recorder.captured


def test_windows_of_another_kind_are_captured_when_two_come_in_a_row(make):
    network, recorder = make("htdemucs", use_train_segment=False), Recorder()
    changing = graphed(network, recorder)
    captured = []
    with torch.inference_mode():
        for frames in (FRAMES, 8000, FRAMES, 8000, 8000, 8000):
            mix = windows(1, frames)
            assert torch.equal(changing(mix, WHOLE), network(mix))
            captured.append(recorder.captured)
    assert captured == [1, 1, 1, 1, 2, 2]
    assert recorder.replayed == 2


def test_a_network_that_draws_random_numbers_is_not_captured(make):
    recorder = Recorder()
    with torch.inference_mode():
        graphed(make("htdemucs", t_sin_random_shift=5), recorder)(windows(1), WHOLE)
    assert not recorder.captured


def test_what_cannot_be_captured_runs_as_it_is(make, caplog):
    network = make("htdemucs")
    eager = graphed(network, fail)
    with caplog.at_level(logging.INFO), torch.inference_mode():
        for seed in range(3):
            mix = windows(1, seed=seed)
            assert torch.equal(eager(mix, WHOLE), network(mix))
    (told,) = caplog.messages
    assert "no CUDA graph" in told
    assert "stream is capturing" in told


def test_what_is_copied_from_the_host_is_copied_once():
    device = torch.device("meta")  # stands for a device that is not the host
    values = HostValues()
    with torch.no_grad():
        with values:
            recorded = [torch.hann_window(frames).to(device) for frames in (8, 16)]
        with values.again():
            again = [torch.hann_window(frames).to(device) for frames in (8, 16)]
    assert [id(one) for one in again] == [id(one) for one in recorded]
