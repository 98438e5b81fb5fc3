"""What streams out is what Demucs computes over the whole track at once."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from demucs.api import Separator as DemucsSeparator
from demucs.apply import BagOfModels, apply_model
from support.doubles import RATE, SOURCES, bag_of, noise, tiny

from streamer.audio import Samples
from streamer.models import load
from streamer.models.networks.checkpoint import read_network
from streamer.models.separator import Bag
from streamer.models.weights.places import get_file, place_of
from streamer.pipeline.level import TrackStatistics
from streamer.pipeline.separation import TrackSurvey
from streamer.processor import Processor
from streamer.settings import Settings

WINDOW = RATE // 2
LENGTHS = [1, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW + 777, 3 * WINDOW]


def streamed(
    bag: Bag, mix: Samples, block: int = 1000, survey: TrackSurvey | None = None, **options
):
    """The stems of a mix that comes in blocks, (stems, frames, channels)."""
    options = {"normalize": "none", "clip_mode": "none", "shifts": 0} | options
    processor = Processor(Settings(**options), bag=bag)
    processor.prepare(bag.samplerate, block, mix.shape[1], survey)
    parts = [np.zeros((len(processor.names), 0, mix.shape[1]), np.float32)]
    for start in range(0, len(mix), block):
        parts += [stems.data for stems in processor.feed(mix[start : start + block])]
    parts += [stems.data for stems in processor.flush()]
    return np.concatenate(parts, axis=1)


def whole(model: torch.nn.Module, mix: Samples, *, seed: int = 0, **options) -> Samples:
    """What `demucs.apply.apply_model` makes of the whole mix, its shifts drawn from the seed.

    It draws them from the global generator, which its transformer draws from as well.
    """
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr("demucs.apply.random", random.Random(seed))
        stems = apply_model(model, torch.from_numpy(mix.T.copy())[None], **options)
    return stems[0].transpose(1, 2).numpy()


def assert_equal(ours: Samples, theirs: Samples) -> None:
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-5
    assert theirs.any(), "silence would be equal to anything"


@pytest.mark.parametrize("shifts", [0, 2])
@pytest.mark.parametrize("overlap", [0.1, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("frames", LENGTHS)
def test_equals_apply_model(tiny_bag: Bag, frames: int, overlap: float, shifts: int) -> None:
    mix = noise(frames)
    theirs = whole(tiny(), mix, shifts=shifts, overlap=overlap, seed=5)
    assert_equal(streamed(tiny_bag, mix, shifts=shifts, overlap=overlap, seed=5), theirs)


def test_no_frames_give_no_frames(tiny_bag: Bag) -> None:
    assert streamed(tiny_bag, noise(0), shifts=2).shape == (4, 0, 2)


@pytest.mark.parametrize("kind", ["hdemucs", "demucs"])
@pytest.mark.parametrize("frames", LENGTHS)
def test_equals_apply_model_for_the_older_networks(kind: str, frames: int) -> None:
    model, mix = tiny(kind), noise(frames)
    theirs = whole(model, mix, shifts=1, overlap=0.25)
    assert_equal(streamed(bag_of([model], [[1] * 4]), mix, shifts=1), theirs)


@pytest.mark.parametrize("shifts", [0, 2])
def test_equals_apply_model_for_a_bag(shifts: int) -> None:
    models = [tiny(), tiny(seed=1), tiny("hdemucs", segment=0.8), tiny("demucs")]
    weights = [[1, 0, 0.5, 1], [0, 1, 2, 1], [1, 1, 0, 0.25], [0.0, 0.5, 1, 1]]
    mix = noise(3 * WINDOW + 123)
    theirs = whole(BagOfModels(models, weights), mix, shifts=shifts, overlap=0.25, seed=7)
    assert_equal(streamed(bag_of(models, weights), mix, shifts=shifts, seed=7), theirs)


def test_a_bag_without_the_members_that_are_not_needed_gives_the_same() -> None:
    models = [tiny(), tiny(seed=1)]
    bag = bag_of(models, [[1, 0, 0, 0], [0, 1, 1, 1]])
    pruned = Bag(bag.name, [None, bag.members[1]], bag.names, bag.samplerate, bag.channels)
    mix = noise(2 * WINDOW + 5)
    every = streamed(bag, mix, shifts=2)
    some = streamed(pruned, mix, shifts=2, stems=("vocals", "bass"))
    np.testing.assert_array_equal(some, every[[3, 1]])


def test_track_normalization_equals_the_demucs_api() -> None:
    mix = noise(2 * WINDOW + 99) * 0.3 + np.float32(0.02)
    theirs = DemucsSeparator.__new__(DemucsSeparator)
    theirs._model, theirs._samplerate, theirs._audio_channels = tiny(), RATE, 2
    theirs.update_parameter(
        device="cpu", shifts=1, overlap=0.25, split=True, segment=None, jobs=0, progress=False,
        callback=None, callback_arg=None,
    )  # fmt: skip
    random.seed(3)
    with torch.no_grad():
        _, stems = theirs.separate_tensor(torch.from_numpy(mix.T.copy()))
    statistics = TrackStatistics()
    for start in range(0, len(mix), 700):
        statistics.feed(mix[start : start + 700])
    ours = streamed(
        bag_of([tiny()], [[1] * 4]), mix, normalize="track", shifts=1, seed=3,
        survey=TrackSurvey(statistics.mean, statistics.deviation),
    )  # fmt: skip
    assert_equal(ours, np.stack([stems[name].T.numpy() for name in SOURCES]))


@pytest.fixture(scope="module")
def mini() -> torch.nn.Module:
    """The embedded model's network, as Demucs has it."""
    return read_network(get_file(place_of("htdemucs_mini"), "htdemucs_mini"))


@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize(("frames", "overlap"), [(1, 0.25), (343_979, 0.1), (400_001, 0.5)])
def test_the_embedded_model_equals_apply_model(mini, frames, overlap, backend) -> None:
    bag = load("htdemucs_mini", backend=backend)
    mix = noise(frames)
    assert_equal(
        streamed(bag, mix, block=65536, overlap=overlap),
        whole(mini, mix, shifts=0, overlap=overlap),
    )


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_chosen_window_equals_apply_model(mini, backend) -> None:
    mix = noise(140_000)
    bag = load("htdemucs_mini", window=3, backend=backend)
    theirs = whole(mini, mix, shifts=1, overlap=0.25, segment=3)
    assert_equal(streamed(bag, mix, block=65536, shifts=1), theirs)
