"""Checkpoints and bags that ask for what nobody could mean."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from safetensors.torch import load_file, save_file

from streamer.errors import WeightsError
from streamer.models.networks.arguments import RULES, checked_arguments
from streamer.models.networks.causal import CausalBandSplit
from streamer.models.networks.checkpoint import NETWORKS, metadata_of, read_network
from streamer.models.weights.bags import read_bag

TESTS = Path(__file__).parents[2]
NAMES = ["drums", "bass", "other", "vocals"]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_every_argument_has_a_rule_and_every_default_keeps_it(network):
    for name, parameter in inspect.signature(network).parameters.items():
        assert name in RULES
        assert parameter.default is parameter.empty or RULES[name].holds(parameter.default)


@pytest.mark.parametrize(
    "change",
    [
        {"channels": 10**4},
        {"depth": 100},
        {"nfft": 10**9},
        {"nfft": 1023},
        {"segment": float("nan")},
        {"segment": float("inf")},
        {"segment": 0},
        {"segment": 120, "samplerate": 384_000},
        {"t_emb": "unknown"},
        {"t_sparse_self_attn": True},
        {"growth": 1e9},
        {"channels": 48.0},
        {"channels": True},
        {"channels": "48"},
        {"sources": "drums"},
        {"sources": ["drums", "drums"]},
        {"sources": ["../drums"]},
        {"sources": [1, 2]},
        {"t_cape_glob_loc_scale": [1.0]},
    ],
    ids=str,
)
def test_an_absurd_argument_is_refused_by_name(change):
    with pytest.raises(ValueError, match=f"^{next(iter(change))}.* must be"):
        checked_arguments(HTDemucs, [], {"sources": NAMES} | change)


def test_what_a_class_does_not_know_is_left_out():
    assert checked_arguments(HDemucs, [NAMES], {"older": 1, "depth": 5}) == {
        "sources": NAMES,
        "depth": 5,
    }


def test_a_network_larger_than_its_file_is_not_built(make, export):
    """All arguments are in their ranges, and together are 400 GB."""
    small = make("htdemucs")
    kwargs = {"sources": NAMES, "channels": 4096, "growth": 2, "depth": 6, "samplerate": 8000}
    path = export(small, "aaaa0000", args="[]", kwargs=json.dumps(kwargs))
    with pytest.raises(WeightsError, match=r"encoder\S+ should be .* by .*, and is"):
        read_network(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda state: state.pop("band"),
            "band should be .* by 8, and is not there",
        ),
        (lambda state: state.update(extra=torch.zeros(1)), "'extra' is no part"),
        (lambda state: state.update(band=torch.zeros(1, 8)), "band should be .* and is 1 by 8"),
    ],
)
def test_tensors_of_another_network_are_told(tmp_path, change, said):
    network = CausalBandSplit(NAMES, width=8, depth=1, hidden=4)
    state = {name: one.contiguous() for name, one in network.state_dict().items()}
    change(state)
    save_file(state, tmp_path / "other.safetensors", metadata_of(network))
    assert load_file(tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=said):
        read_network(tmp_path / "other.safetensors")


def test_mutated_arguments_end_in_one_sentence_and_take_little_memory(tmp_path):
    """Seeded: each value replaced by absurd ones, in a process that has 1.5 GB for all of it."""
    caches = {"XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(TESTS / "support" / "mutated_arguments.py"), "200"],
        # the packages first: tests has folders of the same names
        env=os.environ | caches | {"PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = json.loads(done.stdout)
    assert set(outcomes) == {"refused", "ran"}
    assert sum(outcomes.values()) == 200
    assert outcomes["refused"] > 100


BOMB = "a: &a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a]\nmodels: [*b,*b]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "it has aliases"),
        ("models: &a ['aaaa0000']\n", "it has aliases"),
        ("models: [" * 50_000, "cannot be read"),
        ("[" * 60_000, "nested too deeply"),
        ("models: [a]\n" + "#" * 70_000, "over 65536 bytes"),
        (f"models: [a]\nsegment: {'9' * 5000}\n", "cannot be read"),
        (f"models: [a]\nsegment: {'9' * 400}\n", "'segment' must be"),
        ("models: [a]\nsegment: .nan\n", "'segment' must be"),
        ("models: [a]\nsegment: 1.0e+9\n", "'segment' must be"),
        (f"models: [a]\nweights: [[{'9' * 400}]]\n", "'weights' must hold"),
        ("models: [a]\nweights: [[.inf]]\n", "'weights' must hold"),
        ("models: [a]\nweights: [[true]]\n", "'weights' must hold"),
        (f"models: [{'a,' * 100}]\n", "'models' must be a list of signatures"),
        (f"models: [{'a' * 1000}]\n", "is no signature"),
        ("models: [a]\nsegment: 2001-99-99\n", "cannot be read"),
        ('models: ["\\ud800"]\n', "bag"),
        ("? [a]\n: b\n", "cannot be read"),
    ],
    ids=lambda value: value[:40],
)
def test_a_bag_that_refers_to_itself_or_is_huge_is_refused(tmp_path, text, said):
    (tmp_path / "bomb.yaml").write_text(text)
    with pytest.raises(WeightsError, match=said) as caught:
        read_bag(tmp_path / "bomb.yaml")
    assert len(str(caught.value)) < 600


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_no_bag(tmp_path):
    os.mkfifo(tmp_path / "bag.yaml")
    with pytest.raises(WeightsError, match="it is no file"):
        read_bag(tmp_path / "bag.yaml")
