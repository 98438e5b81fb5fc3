"""How many workers a cluster has, and what each takes of its machine; no cluster is needed."""

from __future__ import annotations

import pytest

from streamer import Settings, __version__
from streamer.batch.engine import Task
from streamer.batch.ray_engine import _Actor
from streamer.batch.ray_nodes import Node, Share, refuse_other, share
from streamer.errors import ModelError

GB = 10**9


def node(cpus: int, gpus: int = 0, gigabytes: int = 64) -> Node:
    return Node("10.0.0.7", cpus, gpus, gigabytes * GB)


def settings(device: str = "auto") -> Settings:
    return Settings(model="passthrough", device=device)


@pytest.mark.parametrize(
    ("nodes", "device", "workers", "made"),
    [
        # two processors each; a machine with one has one worker with one
        ([node(8), node(4)], "auto", None, Share(6, 2, 0, 2 * GB)),
        ([node(1), node(1)], "auto", None, Share(2, 1, 0, 2 * GB)),
        # memory for two workers only
        ([node(16, gigabytes=5)], "auto", None, Share(2, 2, 0, 2 * GB)),
        # where there is a GPU, all work is done on GPUs
        ([node(8, gpus=2), node(64)], "auto", None, Share(2, 2, 1, 2 * GB)),
        # a cluster that is empty until workers are wanted
        ([], "auto", 64, Share(64, 2, 0, 2 * GB)),
        ([], "cuda", 16, Share(16, 2, 1, 2 * GB)),
        ([], "auto", None, Share(1, 2, 0, 2 * GB)),
    ],
)
def test_each_worker_gets_a_gpu_or_its_share_of_processors_and_memory(nodes, device, workers, made):
    assert share(nodes, settings(device), workers) == made


def test_a_machine_with_another_stemstream_or_a_gpu_that_torch_misses_is_refused():
    refuse_other(node(2), __version__, False)
    refuse_other(node(2, gpus=1), __version__, True)
    with pytest.raises(ModelError, match=r"10\.0\.0\.7 has stemstream 0\.0\.1"):
        refuse_other(node(2), "0.0.1", False)
    with pytest.raises(ModelError, match="--device cpu"):
        refuse_other(node(2, gpus=1), __version__, False)


def test_a_machine_that_comes_later_with_another_stemstream_joins_not_and_takes_no_song():
    late = _Actor(settings(), 1, "0.0.1")
    assert isinstance(late.made(), ModelError)
    with pytest.raises(ModelError, match=r"the one with the command 0\.0\.1"):
        late.do(Task("one.wav", "stems"))
    same = _Actor(settings(), 1, __version__)
    assert not isinstance(same.made(), ModelError)
