"""Where weights are found, without a network."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from demucs.hf import hf_repo_name

from streamer.errors import WeightsError
from streamer.models import available, download, info, load, names, resolve_auto
from streamer.models.weights.checksum import verify
from streamer.models.weights.hub import HubPlace, reachable, repo_name
from streamer.models.weights.places import get_file
from streamer.models.weights.registry import EMBEDDED_SHA256

REVISION = "0" * 40


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def put_in_hub_cache(cache: Path, model: str, file: Path, name: str) -> Path:
    """Lay a file out as huggingface_hub does: a blob named by its SHA-256, and a link to it."""
    folder = cache / f"models--adefossez--{hf_repo_name(model)}"
    blob = folder / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
    link = folder / "snapshots" / REVISION / name
    for path in (blob, link, folder / "refs" / "main"):
        path.parent.mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(REVISION)
    blob.write_bytes(file.read_bytes())
    link.symlink_to(blob)
    return blob


def test_registry_follows_demucs():
    for name in names():
        assert repo_name(name) == hf_repo_name(name)
    assert info("htdemucs_ft").weights[3] == (0, 0, 0, 1)
    assert info("mdx_extra").window_seconds == 44
    assert info("htdemucs_6s").stems[4:] == ("guitar", "piano")
    assert all(info(name).licence for name in names())


def test_a_model_of_two_embedded_networks_takes_both_of_their_files():
    here, parts = available("mini_duo"), [available(name) for name in info("mini_duo").networks]
    assert here.path == parts[0].path.parent
    assert here.bytes == sum(part.bytes for part in parts) == info("mini_duo").published_bytes
    assert download("mini_duo") == tuple(part.path for part in parts)


@pytest.mark.parametrize("name", EMBEDDED_SHA256)
def test_the_embedded_file_is_the_registered_one(name):
    here = available(name)
    assert here is not None
    assert here.bytes == info(name).published_bytes <= 10_000_000
    verify(here.path, EMBEDDED_SHA256[name])
    assert download(name) == (here.path,)
    assert (resources.files("streamer.models.weights.embedded") / f"{name}.md").is_file()
    assert (load(name, device="cpu").stride is not None) == info(name).streaming


def test_a_file_of_the_users_may_have_the_embedded_models_name(make, export):
    load(str(export(make("htdemucs"), "htdemucs_mini")), device="cpu")


def test_auto_falls_back_and_says_so():
    name, reason = resolve_auto()
    assert name == "mini_duo"
    assert reason is not None
    assert "the hub cannot be reached" in reason
    assert "stemstream models download htdemucs" in reason
    bag = load("auto", device="cpu")
    assert (bag.name, bag.note) == (name, reason)


def test_auto_takes_the_hub_if_it_is_there():
    assert resolve_auto(reachable=lambda: True, fetch=lambda name: name) == ("htdemucs", None)


def test_auto_falls_back_where_the_hub_answers_but_does_not_deliver() -> None:
    def fetch(name: str) -> None:
        raise WeightsError(f"no {name}")

    name, reason = resolve_auto(reachable=lambda: True, fetch=fetch)
    assert name == "mini_duo"
    assert reason
    assert "no htdemucs" in reason


def test_auto_looks_into_the_folder(make, export, tmp_path):
    name, reason = resolve_auto(repo=tmp_path, reachable=lambda: True)
    assert name == "mini_duo"
    assert reason is not None
    export(make("htdemucs"), "955717e8")
    assert resolve_auto(repo=tmp_path) == ("htdemucs", None)


@pytest.mark.parametrize("name", ["htdemucs", "htdemucs_ft", "htdemucs_quantized", "955717e8"])
def test_a_named_model_never_falls_back(name):
    with pytest.raises(WeightsError) as caught:
        load(name)
    message = str(caught.value)
    assert ".safetensors" in message
    assert "models--adefossez--HTDemucs" in message
    assert "stemstream models download htdemucs" in message


def test_offline_is_not_reachable():
    assert not reachable()


def test_hub_cache_is_found_and_checked(make, export, tmp_path):
    cache = tmp_path / "cache"
    blob = put_in_hub_cache(
        cache, "htdemucs", export(make("htdemucs"), "955717e8"), "955717e8.safetensors"
    )
    place = HubPlace("htdemucs", info("htdemucs").bag, cache=cache)
    path = get_file(place, "955717e8")
    assert path.name == "955717e8.safetensors"
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="damaged or was changed"):
        get_file(place, "955717e8")


def test_a_hub_name_reads_its_own_bag(make, export, tmp_path):
    cache = tmp_path / "cache"
    bag = tmp_path / "mine.yaml"
    bag.write_text("models: ['aaaa0000']\nsegment: 1\n")
    place = HubPlace("mine", cache=cache)
    assert not place.knows_bag
    with pytest.raises(WeightsError, match=r"mine\.yaml, which is not in .*Demucs-mine"):
        _ = place.bag
    put_in_hub_cache(cache, "mine", bag, "mine.yaml")
    assert place.bag.members == ("aaaa0000",)
    assert place.bag.window_seconds == 1


def test_a_pickle_of_an_older_demucs_is_offered(make, export, checksummed, monkeypatch, tmp_path):
    old = tmp_path / "hub" / "checkpoints"
    old.mkdir(parents=True)
    file = checksummed(export(make("htdemucs"), "955717e8", suffix=".th"))
    file.rename(old / file.name)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="pickle, which can run code: --trust-checkpoint"):
        load("htdemucs")
    assert available("htdemucs") is None
    assert available("htdemucs", trust_checkpoint=True) is not None
    assert resolve_auto(trust_checkpoint=True) == ("htdemucs", None)
    assert load("htdemucs", trust_checkpoint=True, device="cpu").name == "htdemucs"


def test_whole_way_from_a_cache_named_by_the_environment(make, export, tmp_path):
    cache = tmp_path / "hub"
    for signature in info("htdemucs_ft").networks[:2]:
        file = export(make("htdemucs"), signature)
        put_in_hub_cache(cache, "htdemucs_ft", file, file.name)
    code = (
        "from streamer.models import available, load; assert available('htdemucs_ft') is None;"
        "print([m is not None for m in load('htdemucs_ft', stems=['bass'], device='cpu').members])"
    )
    env = os.environ | {"HF_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[False, True, False, False]"


def test_two_files_of_one_signature_are_told(make, export, checksummed, tmp_path):
    checksummed(export(make("htdemucs"), "aaaa0000"))
    export(make("htdemucs"), "aaaa0000")
    with pytest.raises(WeightsError, match="keep one of them"):
        load("aaaa0000", repo=tmp_path)


def test_passthrough_has_no_weights():
    assert available("passthrough") is None
    assert download("passthrough") == ()
