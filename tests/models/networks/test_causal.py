"""The causal network: what comes late changes nothing, and a stream is what a song is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamer.errors import ModelError, SettingsError
from streamer.models import load
from streamer.models.backends.torch_stream import TorchStreamSeparator
from streamer.models.networks.causal import CausalBandSplit
from streamer.models.networks.causal_shape import BANDS, FFT, GROUPS, HOP
from streamer.models.networks.checkpoint import read_network, write_network
from streamer.models.networks.recurrence import recur
from streamer.models.separator import Streaming

SOURCES = ["drums", "bass", "other", "vocals"]
CPU = torch.device("cpu")


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = CausalBandSplit(SOURCES, width=16, depth=2, hidden=16)
    made.requires_grad_(False)
    return made.eval()


def draw(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_bands_cover_the_spectrum():
    assert sum(group.bands * group.width for group in GROUPS) == FFT // 2 + 1
    assert sum(group.bands for group in GROUPS) == BANDS
    assert all(group.width % group.points == 0 for group in GROUPS)


@pytest.mark.parametrize("frames", [1, HOP - 1, HOP, 5000])
def test_the_stems_add_up_to_the_mix(network, frames):
    mix = draw(2, 2, frames)
    stems = network(mix)
    assert stems.shape == (2, 4, 2, frames)
    torch.testing.assert_close(stems.sum(1), mix, atol=1e-6, rtol=0)
    assert stems[:, 0].abs().max() > 1e-3


def test_of_silence_it_makes_silence(network):
    assert not network(torch.zeros(1, 2, 3 * HOP)).any()


def test_what_comes_later_than_a_hop_and_the_lookahead_changes_nothing(network):
    stride = network.stream_stride
    mix = draw(1, 2, 20 * HOP)
    before = network(mix)
    for hop in (7, 8):
        other = mix.clone()
        other[..., hop * HOP :] = draw(1, 2, 20 * HOP, seed=1)[..., hop * HOP :]
        after = network(other)
        known = hop * HOP - stride.lookahead_frames
        torch.testing.assert_close(after[..., :known], before[..., :known], atol=1e-6, rtol=0)
        # and no more than that is promised, or used
        assert (after[..., known:] - before[..., known:])[..., :HOP].abs().max() > 1e-4


def test_a_stream_in_any_hops_is_the_song(network):
    mix = draw(1, 2, 30 * HOP)
    song = network(mix)
    for sizes in ([1] * 30, [3, 1, 7, 19], [30]):
        state, parts, at = network.initial_state(1), [], 0
        for size in sizes:
            parts.append(network.step(mix[..., at : at + size * HOP], state))
            at += size * HOP
        stream = torch.cat(parts, dim=-1)[..., HOP:]
        torch.testing.assert_close(stream, song[..., : 29 * HOP], atol=1e-6, rtol=0)


def test_its_memory_does_not_grow(network):
    state, loud = network.initial_state(1), draw(1, 2, 50 * HOP)
    seen = []
    for _ in range(40):  # 23 s
        network.step(loud, state)
        seen.append(max(float(memory.abs().max()) for memory in state.memories))
    assert seen[-1] < 1.5 * seen[5]


def test_the_recurrence_is_a_loop_and_so_is_its_gradient():
    kept, new = (
        torch.rand(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 1)
    )
    before = torch.ones(3, dtype=torch.float64)
    expected = before
    for a, b, got in zip(kept, new, recur(kept, new, before), strict=True):
        expected = a * expected + b
        torch.testing.assert_close(got, expected)
    given = (kept.requires_grad_(), new.requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: recur(a, b, before), given)


def test_a_file_of_it_is_loaded_as_a_streaming_model(network, tmp_path):
    path = tmp_path / "small.safetensors"
    write_network(network, path)
    again = read_network(path)
    mix = draw(1, 2, 4 * HOP)
    assert torch.equal(again(mix), network(mix))
    bag = load(str(path), precision="bfloat16", backend="torch")
    assert bag.stride == network.stream_stride
    separator = bag.members[0].separator
    assert isinstance(separator, Streaming)
    assert separator.samplerate == 44100


def test_windows_are_short_songs(network):
    separator = TorchStreamSeparator(network, CPU)
    windows = draw(3, 5000, 2).numpy()
    stems = separator(windows, slice(100, 300))
    assert stems.shape == (3, 4, 200, 2)
    song = network(torch.from_numpy(windows).transpose(1, 2)).transpose(2, 3)
    np.testing.assert_allclose(stems, song[:, :, 100:300].numpy(), atol=1e-6)


def test_the_window_says_how_much_is_new(network):
    stride = network.stream_stride
    seconds = (stride.window_frames(3) + 10) / 44100
    separator = TorchStreamSeparator(network, CPU, window_seconds=seconds)
    assert stride.new_frames(separator.window_frames) == 3 * HOP
    with pytest.raises(SettingsError, match=r"window=0\.2 must be at least 0\.26 seconds"):
        TorchStreamSeparator(network, CPU, window_seconds=0.2)


def test_what_is_no_number_is_said(network):
    stream = TorchStreamSeparator(network, CPU).begin()
    with pytest.raises(ModelError, match="no numbers"):
        stream(np.full((HOP, 2), np.nan, np.float32))


def test_a_stream_runs_on_one_thread_unless_told_otherwise():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        load("rt_mini", device="cpu", backend="torch")
        assert torch.get_num_threads() == 1
        load("htdemucs_mini", device="cpu", backend="torch", window=1)
        assert torch.get_num_threads() == 3, "windows have theirs again"
        load("rt_mini", device="cpu", backend="torch", threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
