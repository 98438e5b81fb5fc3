"""Loading, against demucs itself, from folders as `demucs --repo` takes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from demucs.apply import BagOfModels
from demucs.pretrained import get_model
from demucs.repo import BagOnlyRepo, LocalRepo

from streamer.cache import JsonStore
from streamer.errors import ModelError, SettingsError, WeightsError
from streamer.models import load, loading
from streamer.models.backends import quantized
from streamer.models.backends.openvino_library import has_openvino
from streamer.models.backends.torch_separator import TorchSeparator
from streamer.models.choice import LAYOUT, Choices
from streamer.models.threads import spin_for_a_moment
from streamer.models.weights.places import get_file, place_of

SPECIALISTS = """
models: ['aaaa0000', 'bbbb0000', 'cccc0000']
weights: [[1., 1., 0., 0.], [0., 0.5, 1., 0.], [0., 0., 0., 2.]]
"""


@pytest.fixture
def repo(make, export, tmp_path: Path) -> Path:
    """A folder with a bag of three networks, of the three kinds."""
    export(make("htdemucs", 1), "aaaa0000")
    export(make("hdemucs", 2), "bbbb0000")
    export(make("demucs", 3), "cccc0000")
    (tmp_path / "mine.yaml").write_text(SPECIALISTS)
    return tmp_path


def separate(separator, windows):
    with torch.no_grad():
        mix = torch.from_numpy(windows.swapaxes(1, 2).copy())
        return separator(mix).transpose(2, 3).numpy()


@pytest.mark.parametrize("kind", ["htdemucs", "hdemucs", "demucs"])
def test_a_file_gives_what_the_network_gives(make, export, noise, kind):
    network = make(kind)
    bag = load(str(export(network, "0a0a0a0a")), device="cpu", backend="torch")
    (member,) = bag.members
    windows = noise(2, member.separator.window_frames)
    np.testing.assert_array_equal(member.separator(windows), separate(network, windows))
    assert member.weights == (1.0,) * 4
    assert (bag.names, bag.samplerate, bag.channels) == (tuple(network.sources), 8000, 2)
    assert member.separator.window_frames == int(network.samplerate * network.segment)


def test_weights_tell_models_of_one_path_apart(make, export):
    """So timings of one are not taken for those of another."""
    path = export(make("htdemucs"), "aaaa0000")
    first, again = (load(str(path), backend="torch").weights for _ in range(2))
    assert export(make("htdemucs", seed=1), "aaaa0000") == path
    other = load(str(path), backend="torch").weights
    assert first == again != other
    assert load("passthrough").weights == ""


def test_a_folder_of_pickles_is_what_demucs_loads(make, export, checksummed, noise, tmp_path):
    checksummed(export(make("htdemucs", 1), "aaaa0000", suffix=".th"))
    export(make("htdemucs", 2), "bbbb0000", suffix=".th")
    weights = "weights: [[1, 0, 2, 1], [1, 1, 1, 1]]"
    (tmp_path / "two.yaml").write_text(f"models: ['aaaa0000', 'bbbb0000']\n{weights}\nsegment: 1\n")
    theirs = get_model("two", repo=tmp_path)
    ours = load("two", repo=tmp_path, trust_checkpoint=True, device="cpu", backend="torch")
    assert [list(member.weights) for member in ours.members] == theirs.weights
    for member, network in zip(ours.members, theirs.models, strict=True):
        assert member.separator.window_frames == int(8000 * network.segment) == 8000
        windows = noise(1, 8000)
        np.testing.assert_array_equal(member.separator(windows), separate(network, windows))


def test_the_window_of_a_bag_only_shrinks_transformers(make, export, tmp_path):
    networks = [make("htdemucs"), make("hdemucs")]
    for network, signature in zip(networks, ["aaaa0000", "bbbb0000"], strict=True):
        export(network, signature)
    (tmp_path / "long.yaml").write_text("models: ['aaaa0000', 'bbbb0000']\nsegment: 44\n")
    bag = load("long", repo=tmp_path, device="cpu")
    BagOfModels(networks, segment=44)
    expected = [int(network.samplerate * network.segment) for network in networks]
    assert [member.separator.window_frames for member in bag.members] == expected == [15600, 352000]


@pytest.mark.parametrize(
    ("stems", "loaded"),
    [(None, "111"), (["drums"], "100"), (["bass"], "110"), (["vocals", "other"], "011")],
)
def test_only_needed_members_are_loaded(repo, stems, loaded):
    bag = load("mine", repo=repo, stems=stems, device="cpu", backend="torch")
    assert "".join("0" if member is None else "1" for member in bag.members) == loaded
    assert bag.names == ("drums", "bass", "other", "vocals")


def test_what_is_not_needed_need_not_be_there(repo):
    (repo / "cccc0000.safetensors").unlink()
    load("mine", repo=repo, stems=["drums"], device="cpu", backend="torch")
    with pytest.raises(WeightsError, match=r"cccc0000\.safetensors .* copy it there"):
        load("mine", repo=repo, stems=["vocals"], device="cpu")


def test_a_known_bag_needs_no_yaml_in_the_folder(make, export, tmp_path):
    export(make("htdemucs"), "04573f0d")
    bag = load("htdemucs_ft", repo=tmp_path, stems=["vocals"], device="cpu", backend="torch")
    assert [member is not None for member in bag.members] == [False, False, False, True]


def test_a_signature_in_a_folder_is_a_model(repo):
    assert len(load("bbbb0000", repo=repo, device="cpu").members) == 1


@pytest.mark.parametrize("name", ["htdemucs_mini", "htdemucs", "passthrough"])
def test_a_network_in_a_folder_goes_before_a_model_of_that_name(make, export, tmp_path, name):
    torch_alone = {"repo": tmp_path, "device": "cpu", "backend": "torch"}
    if name != "htdemucs":
        assert load(name, **torch_alone).samplerate == 44100
    export(make("htdemucs", sources=["voice", "rest"]), name)
    bag = load(name, **torch_alone, stems=["voice"])
    assert (bag.samplerate, bag.names) == (8000, ("voice", "rest"))


def test_quantized_is_made_from_htdemucs(make, export, noise, tmp_path, monkeypatch):
    monkeypatch.setattr(quantized, "has_bfloat16", lambda: True)
    network = make("htdemucs")
    export(network, "955717e8")
    torch_alone = {"repo": tmp_path, "device": "cpu", "backend": "torch"}
    bag = load("htdemucs_quantized", **torch_alone, choices=TakeTheLast())
    windows = noise(1, 15600)
    expected, got = separate(network, windows), bag.members[0].separator(windows)
    deviation = 10 * np.log10(np.sum(expected**2) / np.sum((expected - got) ** 2))
    assert 35 < deviation < 80
    assert bag.name == "htdemucs_quantized"
    assert (bag.backend, bag.device) == ("torch bfloat16", "cpu")
    exact = load("htdemucs_quantized", **torch_alone, precision="float32")
    np.testing.assert_allclose(exact.members[0].separator(windows), expected, atol=1e-6)


def test_a_processor_without_bfloat16_computes_in_float32(make, export, tmp_path, monkeypatch):
    """Torch would take minutes for a window, and did, where the backends were timed."""
    monkeypatch.setattr(quantized, "has_bfloat16", lambda: False)
    path = str(export(make("htdemucs"), "0a0a0a0a"))
    torch_alone = {"device": "cpu", "backend": "torch", "precision": "bfloat16"}
    bag = load(path, **torch_alone, choices=Choices(JsonStore(tmp_path / "answers", LAYOUT)))
    assert bag.backend == "torch float32"
    with pytest.raises(ModelError, match=r"on this processor.*try --precision float32"):
        load(path, **torch_alone, choices=TakeTheLast())


class TakeTheLast:
    """Choices that know the least precise backend to be the fastest."""

    def known(self, subject, backends):
        return backends[-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "htdemux"}, "did you mean htdemucs"),
        ({"name": "nothing like it"}, "there are htdemucs, htdemucs_ft"),
        ({"stems": ["voice"]}, "no stem 'voice'; it has drums, bass, other, vocals"),
        ({"stems": []}, "at least one stem"),
        ({"device": "cuda:99"}, r"device=cuda:99 is not on this machine; there are auto, cpu"),
        ({"device": "toaster"}, "device=toaster is not on this machine"),
        ({"threads": 0}, "threads=0 must be at least 1"),
        ({"window": 8.0}, r"window=8 must be at most 7\.8 seconds for this model; try 7\.8"),
        ({"window": 0.0}, "less than one frame"),
        ({"name": "hf://a/b/c"}, "must be hf://NAME or hf://NAMESPACE/NAME"),
    ],
)
def test_wrong_wishes_are_told(changes, message):
    wrong = SettingsError if {"stems", "window"} & set(changes) else ModelError
    with pytest.raises(wrong, match=message):
        load(**({"name": "htdemucs_mini", "device": "cpu", "backend": "torch"} | changes))


def test_a_folder_without_the_model_says_what_it_has(repo, tmp_path):
    with pytest.raises(ModelError, match=r"no model 'htdemuks'; it has aaaa0000, .*, mine"):
        load("htdemuks", repo=repo)
    with pytest.raises(WeightsError, match="cannot be read"):
        load("mine", repo=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("bag", "message"),
    [
        ("models: [", "cannot be read"),
        ("- 1", "not a bag file"),
        ("models: []", "list of signatures"),
        ("models: ['../aaaa0000']", "is no signature"),
        ("models: ['aaaa0000']\nsegment: -1", "more than 0 seconds"),
        ("models: ['aaaa0000']\nweights: [[1, 1, 1]]", "another number of stems"),
        ("models: ['aaaa0000']\nweights: [[1, 1, 1, x]]", "lists of numbers"),
        ("models: ['aaaa0000']\nweights: []", "one list for each"),
        ("models: ['aaaa0000']\nweights: [[1, 1, 0, 1]]", "weight 0 for other"),
    ],
)
def test_broken_bags_are_told(repo, bag, message):
    (repo / "broken.yaml").write_text(bag)
    with pytest.raises(WeightsError, match=message):
        load("broken", repo=repo, device="cpu")


def test_members_must_be_alike(make, export, tmp_path):
    export(make("htdemucs"), "aaaa0000")
    export(make("htdemucs", sources=["a", "b"]), "bbbb0000")
    (tmp_path / "mixed.yaml").write_text("models: ['aaaa0000', 'bbbb0000']\n")
    with pytest.raises(WeightsError, match="a network of mixed has the stems a, b"):
        load("mixed", repo=tmp_path, device="cpu")


def test_networks_of_a_bag_go_along_in_the_same_way(tmp_path):
    for name in ("htdemucs_mini", "rt_mini"):
        file = get_file(place_of(name, repo=None, trust_checkpoint=False), name)
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "mixed.yaml").write_text("models: [htdemucs_mini, rt_mini]\n")
    with pytest.raises(WeightsError, match=r"differ in .* the way they go along the music"):
        load("mixed", repo=tmp_path, device="cpu")


@pytest.mark.skipif(not has_openvino(), reason="needs openvino")
@pytest.mark.parametrize(
    ("options", "device"),
    [
        ({"name": "rt_mini", "exact_window": True}, "cpu"),  # one hop at a time
        ({"name": "rt_mini", "backend": "native"}, "cpu"),
        ({"name": "htdemucs_mini", "backend": "openvino"}, "cpu"),
        ({"name": "rt_mini"}, "cuda"),
        ({"name": "htdemucs_mini", "exact_window": True}, "cuda"),
        ({"name": "rt_mini", "exact_window": True, "device": "cuda"}, "cuda"),
    ],
)
def test_where_nobody_names_a_device_the_gpu_is_for_what_it_is_best_for(
    options, device, monkeypatch
):
    def ended(wish):
        raise ModelError(f"on {'cuda' if wish == 'auto' else wish}")

    monkeypatch.setattr(loading, "kind_of", ended)
    with pytest.raises(ModelError, match=f"^on {device}$"):
        load(**options)


@pytest.mark.skipif(not has_openvino(), reason="needs openvino")
def test_a_network_that_hears_the_mix_first_runs_on_what_the_other_runs_on():
    class Known:
        def known(self, subject, backends):
            return next(one for one in backends if one.library == "openvino")

    bag = load("mini_duo", device="cpu", choices=Known())
    assert bag.backend == "openvino float32"
    first, second = bag.weights.split("+")
    assert load("mini_vocals", device="cpu").weights == first
    assert load("htdemucs_mini", device="cpu", backend="torch").weights == second


def test_passthrough_repeats_the_mix(noise):
    bag = load("passthrough")
    windows = noise(2, 10)
    stems = bag.members[0].separator(windows)
    assert stems.shape == (2, 4, 10, 2)
    assert all(np.array_equal(stems[:, k], windows) for k in range(4))
    assert stems.flags.writeable
    assert load("passthrough", window=1.0).members[0].separator.window_frames == 44100


def test_importing_imports_no_torch():
    code = (
        "import sys; import streamer.models as m; m.load('passthrough'); m.names();"
        "m.resolve_auto(); m.available('htdemucs_mini');"
        "sys.exit(any(name in sys.modules for name in ('torch', 'torchaudio', 'demucs.apply')))"
    )
    env = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


def test_local_repo_of_demucs_agrees_on_the_bag(make, export, tmp_path):
    export(make("htdemucs"), "aaaa0000", suffix=".th")
    (tmp_path / "one.yaml").write_text("models: ['aaaa0000']\n")
    theirs = BagOnlyRepo(tmp_path, LocalRepo(tmp_path)).get_model("one")
    ours = load("one", repo=tmp_path, trust_checkpoint=True, device="cpu", backend="torch")
    assert [list(member.weights) for member in ours.members] == theirs.weights
    assert isinstance(ours.members[0].separator, TorchSeparator)


@pytest.mark.parametrize(
    ("given", "spins"),
    [
        ({}, "3000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, None),
    ],
)
def test_torch_has_its_threads_spin_for_a_moment_where_openmp_was_told_nothing(
    monkeypatch, given, spins
):
    monkeypatch.setattr(os, "environ", dict(given))
    spin_for_a_moment()
    assert os.environ.get("GOMP_SPINCOUNT") == spins
    assert os.environ["OMP_WAIT_POLICY"] == given.get("OMP_WAIT_POLICY", "PASSIVE")
