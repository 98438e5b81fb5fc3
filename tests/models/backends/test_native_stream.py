"""The causal network in compiled code: what torch gives, hop by hop, a state for each stream."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from support.streams import assert_no_number_stays, assert_same_stream

from streamer.errors import ModelError
from streamer.models.backends.native_kernels import exp, fourier, product
from streamer.models.backends.native_network import begin, forget, hop, workspace
from streamer.models.backends.native_stream import NativeStreamSeparator
from streamer.models.backends.native_tiles import widens_halves
from streamer.models.backends.native_weights import pack
from streamer.models.backends.torch_stream import TorchStreamSeparator
from streamer.models.choice import Backend
from streamer.models.loading import load
from streamer.models.networks.causal import CausalBandSplit
from streamer.models.networks.causal_shape import BANDS, FFT, HOP, TAPS
from streamer.models.networks.checkpoint import metadata_of, read_network, write_network
from streamer.models.networks.facts import NetworkFacts

SOURCES = ["drums", "bass", "other", "vocals"]
needs_halves = pytest.mark.skipif(not widens_halves(), reason="needs a processor with float16")
SMALL = {"width": 16, "depth": 2, "hidden": 16}


def written(path, sources=SOURCES, kind=torch.float32, **sizes):
    """Write a random network, whose every weight matters, in numbers of that kind."""
    torch.manual_seed(0)
    network = CausalBandSplit(sources, **{**SMALL, **sizes})
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for one in network.parameters():
            one += 0.1 * torch.randn(one.shape, generator=generator)
    write_network(network.to(kind), path)
    return path


@pytest.fixture(scope="module", params=[torch.float32, torch.float16], ids=str)
def path(tmp_path_factory, request):
    return written(tmp_path_factory.mktemp("causal") / "small.safetensors", kind=request.param)


@pytest.fixture(scope="module")
def facts(path):
    return NetworkFacts.of(read_network(path))


@pytest.fixture
def reference(path):
    return TorchStreamSeparator(read_network(path), torch.device("cpu"))


@pytest.fixture
def ours(path, facts):
    return NativeStreamSeparator(path, facts, window_seconds=None)


@pytest.fixture
def one_hop(path):
    """A network, a state, a workspace, and arrays for frames and stems."""
    network = pack(load_file(path), 4, 2)
    frames, stems = np.zeros((HOP, 2), np.float32), np.zeros((4, HOP, 2), np.float32)
    return network, begin(network), workspace(network), frames, stems


def test_a_stream_is_what_torch_gives(ours, reference, noise):
    assert_same_stream(ours, reference, noise(1, 40 * HOP)[0])


@pytest.mark.parametrize("frames", [1, HOP, 5000])
def test_windows_are_short_songs(ours, reference, noise, frames):
    windows, wanted = noise(2, frames), slice(frames // 3, frames // 2 + 1)
    np.testing.assert_allclose(ours(windows, wanted), reference(windows, wanted), atol=1e-5)


@pytest.mark.parametrize(
    ("sources", "sizes"),
    [
        (["a"], {"audio_channels": 1, "width": 8, "depth": 1, "hidden": 1}),
        (["a", "b", "c"], {"audio_channels": 1, "width": 24, "depth": 4, "hidden": 7}),
        (["a", "b"], {"audio_channels": 3, "width": 40, "depth": 1, "hidden": 33}),
        (list("abcdefg"), {"audio_channels": 2, "width": 104, "hidden": 5}),
        (list("abc"), {"audio_channels": 1, "width": 8, "hidden": 5, "kind": torch.float16}),
    ],
)
def test_networks_of_all_sizes_give_what_torch_gives(tmp_path, sources, sizes):
    path = written(tmp_path / "other.safetensors", sources, **sizes)
    network = read_network(path)
    draw = np.random.default_rng(0)
    mix = draw.normal(0, 0.1, (12 * HOP, sizes["audio_channels"])).astype(np.float32)
    expected = TorchStreamSeparator(network, torch.device("cpu")).begin()(mix)
    got = NativeStreamSeparator(path, NetworkFacts.of(network), window_seconds=None).begin()(mix)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_the_embedded_model_gives_what_torch_gives():
    draw = np.random.default_rng(0)
    mix = draw.normal(0, 0.15, (30 * HOP, 2)).astype(np.float32)
    by = {}
    for library in ("torch", "native"):
        bag = load("rt_mini", backend=library, device="cpu")
        assert bag.backend == f"{library} float32"
        by[library] = bag.members[0].separator.begin()(mix)
    np.testing.assert_allclose(by["native"], by["torch"], atol=1e-5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_said_and_does_not_stay_in_the_stream(ours, noise, wrong):
    assert_no_number_stays(ours, noise(1, 8 * HOP)[0], HOP, wrong)


def test_a_hop_tells_that_it_is_no_number(one_hop, noise):
    network, state, room, frames, stems = one_hop
    assert hop(network, state, room, frames, stems)
    frames[0, 0] = np.nan
    assert not hop(network, state, room, frames, stems)
    assert all(not one.any() for one in state[:-1])
    frames[0, 0] = 0
    assert hop(network, state, room, frames, stems)


def places(state):
    arrays = {name: one for name, one in state._asdict().items() if name != "filters"}
    return {name: (one.shape, one.ctypes.data) for name, one in arrays.items()}


def test_what_was_forgotten_begins_anew(one_hop, noise):
    network, state, room, frames, stems = one_hop
    layout = places(state)
    depth, width = network.layers.decay.shape
    assert {name: shape for name, (shape, _) in layout.items()} == {
        "heard": (2, FFT),
        "tail": (4, 2, HOP),
        "taps": (depth, TAPS - 1, BANDS, width),
        "memories": (depth, BANDS, width),
    }
    (mix,) = noise(1, 6 * HOP)

    def run():
        given = []
        for at in range(0, len(mix), HOP):
            frames[:] = mix[at : at + HOP]
            assert hop(network, state, room, frames, stems)
            given.append(stems.copy())
        return np.stack(given)

    first = run()
    assert all(one.any() for one in state[:-1])
    forget(state)
    assert all(not one.any() for one in state[:-1])
    np.testing.assert_array_equal(run(), first)
    assert layout == places(state)


def test_nothing_in_the_workspace_counts_for_the_next_hop(one_hop, noise):
    network, state, room, frames, stems = one_hop
    (frames[:],) = noise(1, HOP)
    hop(network, state, room, frames, stems)
    first = stems.copy()
    for one in (*room._replace(spare=room.spare[0]), room.spare[1]):
        one[:] = np.nan
    forget(state)
    assert hop(network, state, room, frames, stems)
    np.testing.assert_array_equal(stems, first)


def test_what_is_almost_silent_does_not_linger_as_denormal_numbers(one_hop, noise):
    """Processors take up to a hundred times as long over them."""
    network, state, room, frames, stems = one_hop
    (mix,) = noise(1, HOP)
    for exponent in range(0, -45, -1):
        frames[:] = mix * np.float32(10.0**exponent)
        assert hop(network, state, room, frames, stems)
        for one in (*state[:-1], room.spectrum, room.parts, room.masks):
            least = np.abs(one[one != 0]).min(initial=1)
            assert least >= np.finfo(np.float32).tiny
    assert not state.heard.any()


def test_threads_have_streams_of_their_own_at_the_same_time(ours, noise):
    mixes = noise(4, 16 * HOP)
    expected = [ours.begin()(mix) for mix in mixes]
    got = [None] * len(mixes)

    def run(index):
        got[index] = ours.begin()(mixes[index])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(mixes))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for mine, its in zip(got, expected, strict=True):
        np.testing.assert_array_equal(mine, its)


def test_after_a_minute_it_is_still_what_torch_gives_and_no_state_grows(ours, reference, noise):
    (mix,) = noise(1, 256 * HOP)
    one, other = ours.begin(), reference.begin()
    for _ in range(20):
        got, expected = one(mix), other(mix)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_allclose(one(mix), got, atol=1e-5)


@needs_halves
def test_weights_are_kept_in_halves_where_the_file_has_them_so(path):
    arrays = load_file(path)
    network = pack(arrays, 4, 2)
    kept = network.hidden.dtype, network.layers.mix_in.dtype, network.heads.dtype
    whole = arrays["norm.bias"].dtype == np.float32
    assert set(kept) == {np.dtype(np.float32 if whole else np.uint16)}
    if not whole:
        np.testing.assert_array_equal(network.hidden.view(np.float16), arrays["hidden.weight"])


@pytest.mark.parametrize("damage", ["shape", "missing", "foreign", "whole numbers", "width"])
def test_weights_that_it_cannot_run_are_refused(path, facts, tmp_path, damage):
    arrays = load_file(path)
    if damage == "shape":
        arrays["hidden.weight"] = np.ascontiguousarray(arrays["hidden.weight"][:, :-1])
    elif damage == "missing":
        del arrays["layers.1.over_time.rate"]
    elif damage == "foreign":
        arrays["more"] = np.zeros(3, np.float32)
    elif damage == "width":
        arrays["band"] = arrays["band"][:, :5].copy()
    else:
        arrays["band"] = arrays["band"].astype(np.int32)
    damaged = tmp_path / "damaged.safetensors"
    save_file(arrays, damaged, metadata_of(read_network(path)))
    with pytest.raises(ModelError, match=r"backend=native cannot run .*; try --backend torch"):
        NativeStreamSeparator(damaged, facts, window_seconds=None)


def test_another_number_of_stems_than_the_weights_have_is_refused(path, facts):
    with pytest.raises(ModelError, match=r"masks\.0\.weight should be"):
        NativeStreamSeparator(path, replace(facts, names=("a",)), window_seconds=None)


def test_files_that_it_cannot_read_are_refused(path, facts, tmp_path):
    pickle = tmp_path / "x.th"
    pickle.write_bytes(b"x")
    with pytest.raises(ModelError, match=r"reads weights from \.safetensors files alone"):
        NativeStreamSeparator(pickle, facts, window_seconds=None)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match="backend=native cannot read"):
        NativeStreamSeparator(cut, facts, window_seconds=None)


def test_it_is_one_of_those_that_are_measured(path):
    bag = load(str(path), backend="native")
    assert isinstance(bag.members[0].separator, NativeStreamSeparator)

    class Known:
        def known(self, subject, backends):
            assert Backend("native", "float32") in backends
            return Backend("native", "float32")

    bag = load(str(path), precision="bfloat16", choices=Known())
    assert isinstance(bag.members[0].separator, NativeStreamSeparator)


def test_weights_that_only_torch_reads_run_on_torch(path, tmp_path):
    """It is passed over where it fails."""
    pickle = tmp_path / "small.th"
    network = read_network(path)
    args, kwargs = network._init_args_kwargs
    package = {
        "klass": CausalBandSplit,
        "args": args,
        "kwargs": kwargs,
        "state": network.state_dict(),
    }
    torch.save(package, pickle)
    bag = load(str(pickle), trust_checkpoint=True, device="cpu")
    assert not bag.backend.startswith("native")


def test_torch_is_not_imported_for_it(path):
    load(str(path), backend="native")  # its facts are kept now
    code = f"""
import sys
from streamer.models import load
bag = load({str(path)!r}, backend="native")
bag.members[0].separator.begin()
print(sorted({{"torch", "openvino"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_exponentials_are_those_of_numpy():
    for x in np.linspace(-64, 64, 2001, dtype=np.float32):
        np.testing.assert_allclose(exp(x), np.exp(np.float64(x)), rtol=2e-7)
    assert exp(np.float32(-1e30)) == exp(np.float32(-64)) > 0
    assert np.isfinite(exp(np.float32(1e30)))


@pytest.mark.parametrize("length", [1, 2, 4, 8, 512, 2048, 4096])
def test_the_fourier_transform_is_that_of_numpy(length):
    draw = np.random.default_rng(0)
    real, imaginary = draw.standard_normal((2, length)).astype(np.float32)
    phase = -2 * np.pi * np.arange(length) / length
    turns = np.cos(phase).astype(np.float32), np.sin(phase).astype(np.float32)
    spare = np.zeros(length, np.float32), np.zeros(length, np.float32)
    expected = np.fft.fft(real + 1j * imaginary.astype(np.float64))
    got = real.copy(), imaginary.copy()
    fourier(*got, spare, turns)
    np.testing.assert_allclose(got[0] + 1j * got[1], expected, atol=1e-5 * length**0.5)
    fourier(got[1], got[0], spare, turns)
    np.testing.assert_allclose(got[0] / length, real, atol=1e-5)
    np.testing.assert_allclose(got[1] / length, imaginary, atol=1e-5)


@pytest.mark.parametrize("half", [False, pytest.param(True, marks=needs_halves)])
@pytest.mark.parametrize("rows", [1, 3, 4, 6, 34])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (7, 24), (96, 192), (33, 41), (20, 150)])
def test_a_product_is_that_of_numpy(rows, inputs, outputs, half):
    draw = np.random.default_rng(0)
    x, weight = draw.standard_normal((rows, inputs)), draw.standard_normal((inputs, outputs))
    bias, out = draw.standard_normal(outputs), np.full((rows, outputs), np.nan, np.float32)
    x, weight, bias = (one.astype(np.float32) for one in (x, weight, bias))
    if half:
        weight = weight.astype(np.float16)
    product(x, weight.view(np.uint16) if half else weight, bias, out)
    np.testing.assert_allclose(out, x @ weight + bias, atol=1e-5 * inputs)
