"""Files that are damaged, changed, foreign or out for harm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from demucs.hf import load_safetensors_model
from safetensors.torch import save_file

from streamer.errors import ModelError, WeightsError
from streamer.models import load
from streamer.models.networks.causal import CausalBandSplit
from streamer.models.networks.checkpoint import read_network


@pytest.mark.parametrize("kind", ["htdemucs", "hdemucs", "demucs"])
def test_reads_what_demucs_reads(make, export, kind):
    path = export(make(kind), "aaaa0000")
    ours, theirs = read_network(path), load_safetensors_model(path)
    assert not ours.training
    assert not any(parameter.requires_grad for parameter in ours.parameters())
    state = theirs.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in ours.state_dict().items())


def test_a_pickle_needs_trust(make, export):
    path = export(make("htdemucs"), "aaaa0000", suffix=".th")
    with pytest.raises(WeightsError, match="pickle, which can run code; --trust-checkpoint"):
        load(str(path))
    assert load(str(path), trust_checkpoint=True, device="cpu").names[0] == "drums"


class Harm:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_pickle_is_not_even_opened(tmp_path):
    path, mark = tmp_path / "harm.th", tmp_path / "mark"
    torch.save({"klass": Harm(mark)}, path)
    with pytest.raises(WeightsError):
        load(str(path))
    with pytest.raises(WeightsError):
        load("harm", repo=tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize("klass", ["os.system", "builtins.eval", "demucs.wdemucs.WDemucs", "x"])
def test_a_class_that_is_none_of_demucs_is_refused(make, export, klass):
    path = export(make("htdemucs"), "aaaa0000", klass=klass)
    with pytest.raises(WeightsError, match=f"asks for the class '{klass}'"):
        load(str(path))


@pytest.mark.parametrize("suffix", [".safetensors", ".th"])
def test_files_of_before_that_name_a_class_where_it_was_are_read(monkeypatch, export, suffix):
    network = CausalBandSplit(["drums", "bass"], width=8, depth=1, hidden=8)
    monkeypatch.setattr(CausalBandSplit, "__module__", "streamer.models.causal")
    path = export(network, "aaaa0000", suffix=suffix)
    assert b"streamer.models.causal" in path.read_bytes().replace(b"\n", b".")
    monkeypatch.undo()
    code = (
        "import sys; from pathlib import Path\n"
        "from streamer.models.networks.checkpoint import read_network\n"
        "print(type(read_network(Path(sys.argv[1]), trust_checkpoint=True)).__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.stdout.strip() == "streamer.models.networks.causal", done.stderr


def test_a_class_inside_a_structure_is_refused(make, export):
    structure = {"_dict": [["meta", {"_list": [{"_class": "subprocess.Popen"}]}]]}
    path = export(make("htdemucs"), "aaaa0000", structure=json.dumps(structure))
    with pytest.raises(WeightsError, match=r"subprocess\.Popen"):
        load(str(path))


def test_diffq_weights_need_diffq(make, export):
    structure = {"_dict": [["klass", {"_class": "diffq.diffq.DiffQuantizer"}]]}
    path = export(make("htdemucs"), "aaaa0000", structure=json.dumps(structure))
    with pytest.raises(ModelError, match=r"pip install 'stemstream\[diffq\]'"):
        load(str(path))
    with pytest.raises(ModelError, match=r"mdx_q needs .* `pip install 'stemstream\[diffq\]'`"):
        load("mdx_q")


@pytest.mark.parametrize("suffix", [".safetensors", ".th"])
@pytest.mark.parametrize("keep", [0.0, 0.001, 0.5, 0.999])
def test_a_cut_file_is_told(make, export, suffix, keep):
    path = export(make("htdemucs"), "aaaa0000", suffix=suffix)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(WeightsError, match=r"cannot be loaded .* fetch it again") as caught:
        load(str(path), trust_checkpoint=True)
    assert "\n" not in str(caught.value)


def test_tensors_alone_are_no_checkpoint(tmp_path):
    path = tmp_path / "bare.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="says nothing of klass, args, kwargs"):
        load(str(path))


@pytest.mark.parametrize(
    "extra",
    [{"kwargs": "{"}, {"args": "[1, 2]"}, {"kwargs": '{"sources": ["a"]}'}, {"structure": "{"}],
)
def test_metadata_that_does_not_fit_is_told(make, export, extra):
    path = export(make("htdemucs"), "aaaa0000", **extra)
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load(str(path))


def test_a_foreign_pickle_is_told(tmp_path):
    torch.save([1, 2], tmp_path / "list.th")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load("list", repo=tmp_path, trust_checkpoint=True)
    torch.save({"klass": dict, "args": [], "kwargs": {}, "state": {}}, tmp_path / "dict.th")
    with pytest.raises(WeightsError):
        load("dict", repo=tmp_path, trust_checkpoint=True)


@pytest.mark.parametrize("suffix", [".safetensors", ".th"])
def test_a_checksum_in_the_name_is_checked(make, export, checksummed, suffix):
    path = checksummed(export(make("htdemucs"), "aaaa0000", suffix=suffix))
    load("aaaa0000", repo=path.parent, trust_checkpoint=True, device="cpu")
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(
        WeightsError, match=r"damaged or was changed .* fetch it again, or rename it if -"
    ):
        load("aaaa0000", repo=path.parent, trust_checkpoint=True, device="cpu")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(WeightsError, match="there is no file"):
        load(str(tmp_path / "gone.safetensors"))


def test_reading_a_network_does_not_load_the_compiler_of_torch(make, export):
    path = export(make("htdemucs"), "aaaa0000")
    code = (
        "import sys; from pathlib import Path;"
        "from streamer.models.networks.checkpoint import read_network;"
        f"read_network(Path({str(path)!r})); print('torch._dynamo' in sys.modules)"
    )
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, capture_output=True, text=True).stdout == "False\n"
