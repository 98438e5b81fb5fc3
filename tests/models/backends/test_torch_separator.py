"""The torch backend: what it asks for, what it gives, how it fails."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from demucs.apply import apply_model

from streamer.errors import ModelError, SettingsError
from streamer.models import load
from streamer.models.backends.quantized import TYPES, round_layers
from streamer.models.backends.torch_separator import TorchSeparator

CPU = torch.device("cpu")


def pad(mix, kept, wanted):
    left = (wanted - kept) // 2
    return np.pad(mix, [(0, 0), (left, wanted - kept - left), (0, 0)]), left


@pytest.mark.parametrize("kind", ["htdemucs", "hdemucs", "demucs"])
@pytest.mark.parametrize("seconds", [None, 1.0])
@pytest.mark.parametrize("frames", [1, 5000, 8000])
def test_it_is_apply_model_without_the_split(make, noise, kind, seconds, frames):
    network = make(kind)
    separator = TorchSeparator(network, CPU, window_seconds=seconds)
    mix = noise(1, frames)
    wanted = separator.input_frames(frames)
    padded, left = pad(mix, frames, wanted)
    got = separator(padded)[:, :, left : left + frames]
    tensor = torch.from_numpy(mix.swapaxes(1, 2).copy())
    expected = apply_model(network, tensor, shifts=0, split=False, segment=seconds)
    np.testing.assert_allclose(got, expected.transpose(2, 3).numpy(), atol=1e-6)


def test_what_it_wants_to_see(make):
    transformer = TorchSeparator(make("htdemucs"), CPU)
    assert transformer.window_frames == 15600
    assert transformer.input_frames(100) == 15600
    with pytest.raises(SettingsError, match=r"window=2 must be at most 1\.95 seconds"):
        TorchSeparator(make("htdemucs"), CPU, window_seconds=2)
    chosen = TorchSeparator(make("htdemucs"), CPU, window_seconds=0.5)
    assert chosen.window_frames == 4000
    assert chosen.input_frames(100) == 4000
    network = make("demucs")
    convolutions = TorchSeparator(network, CPU)
    assert convolutions.input_frames(100) == network.valid_length(100) > 100
    assert TorchSeparator(make("hdemucs"), CPU).input_frames(100) == 100


def test_it_keeps_nothing_and_leaves_its_input(make, noise):
    separator = TorchSeparator(make("htdemucs"), CPU)
    windows = noise(3, 15600)
    windows.flags.writeable = False
    together = separator(windows)
    assert together.shape == (3, 4, 15600, 2)
    assert together.dtype == np.float32
    assert together.flags.c_contiguous
    for k in (2, 0):
        np.testing.assert_allclose(separator(windows[k : k + 1])[0], together[k], atol=1e-5)


@pytest.mark.parametrize("kind", ["htdemucs", "hdemucs", "demucs"])
def test_of_silence_it_makes_silence_without_asking(make, kind):
    network = make(kind)
    asked = []
    network.register_forward_pre_hook(lambda *given: asked.append(given))
    separator = TorchSeparator(network, CPU)
    silence = np.zeros((2, separator.input_frames(8000), 2), np.float32)
    with torch.inference_mode():
        theirs = network(torch.from_numpy(silence.swapaxes(1, 2).copy()))
    assert len(asked) == 1
    assert not theirs.any()
    stems = separator(silence, slice(10, 60))
    assert len(asked) == 1
    assert (stems.shape, stems.any()) == ((2, 4, 50, 2), False)


def test_a_network_that_hears_something_in_silence_is_asked(make):
    separator = TorchSeparator(make("demucs", normalize=False), CPU)
    assert separator(np.zeros((1, separator.input_frames(8000), 2), np.float32)).any()


def test_numbers_that_are_none_are_told(make, noise):
    network = make("htdemucs")
    next(network.parameters()).data.fill_(float("nan"))
    with pytest.raises(ModelError, match="no numbers"):
        TorchSeparator(network, CPU)(noise(1, 15600))


class Failing(torch.nn.Module):
    """A network that fails in the way that it is told to."""

    sources = ("a",)
    samplerate = 8000
    audio_channels = 2
    segment = 1.0

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, mix):
        raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried\nto"), "memory ran out .* --window"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you"), "memory ran out"),
        (MemoryError(), "memory ran out"),
        (RuntimeError("sizes do not match\nat all"), r"failed on cpu \(sizes do not match\)"),
    ],
)
def test_failures_are_one_sentence(noise, error, message):
    with pytest.raises(ModelError, match=message) as caught:
        TorchSeparator(Failing(error), CPU)(noise(1, 10))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "least_db"), [("bfloat16", 35), ("float16", 55)])
def test_half_the_digits_stay_near(make, noise, kind, least_db):
    """On noise; `stemstream bench` measures what it costs on music."""
    reference = TorchSeparator(make("htdemucs"), CPU)
    network = make("htdemucs")
    before = weight_bytes(network)
    round_layers(network, TYPES[kind])
    assert weight_bytes(network) < before * 0.55
    separator = TorchSeparator(network, CPU, autocast=TYPES[kind])
    windows = noise(1, reference.window_frames)
    expected, got = reference(windows), separator(windows)
    deviation = 10 * np.log10(np.sum(expected**2) / np.sum((expected - got) ** 2))
    assert least_db < deviation < 100


def weight_bytes(network):
    return sum(one.numel() * one.element_size() for one in network.parameters())


def test_the_embedded_model_separates(noise):
    bag = load("htdemucs_mini", stems=["vocals"], device="cpu")
    assert (bag.samplerate, bag.channels) == (44100, 2)
    separator = bag.members[0].separator
    assert separator.window_frames == 343_980
    mix = noise(1, 343_980)
    stems = separator(mix)
    residual = mix - stems.sum(axis=1)
    assert np.square(residual).mean() < np.square(mix).mean()
