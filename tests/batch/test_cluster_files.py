"""The cluster files among the examples: their fields are known to Ray, their commands to us."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.commands import program

CLUSTER = Path(__file__).parents[2] / "examples" / "cluster"
RAY_JOB = {
    "entrypoint",
    "shutdownAfterJobFinishes",
    "ttlSecondsAfterFinished",
    "rayClusterSpec",
}
RAY_CLUSTER = {
    "rayVersion",
    "enableInTreeAutoscaling",
    "autoscalerOptions",
    "headGroupSpec",
    "workerGroupSpecs",
}
GROUP = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
"""Fields of KubeRay's own definitions: https://ray-project.github.io/kuberay/reference/api/"""


def load(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((CLUSTER / name).read_text("utf-8")))


def assert_known(words: list[str]) -> None:
    """Make sure that a command line is one of ours: its flags are parsed, nothing is run."""
    assert words[0] == "stemstream"
    program(words[1:]).commands[words[1]].make_context(words[1], words[2:])


def job(name: str) -> dict[str, Any]:
    (found,) = (one for one in load(name) if one["kind"] == "RayJob")
    return found["spec"]


def test_ray_takes_the_cluster_for_aws():
    util = pytest.importorskip("ray.autoscaler._private.util", reason="needs Ray")
    (config,) = load("aws.yaml")
    whole = util.prepare_config(config)
    util.validate_config(whole)
    assert whole["max_workers"] >= whole["available_node_types"]["worker"]["max_workers"]
    assert whole["available_node_types"]["head"]["resources"] == {"CPU": 0}


def test_ray_takes_the_cluster_for_kuberay():
    read = pytest.importorskip(
        "ray.autoscaler._private.kuberay.autoscaling_config", reason="needs Ray"
    )
    spec = job("kuberay.yaml")["rayClusterSpec"]
    cluster = {"metadata": {"name": "x", "namespace": "x"}, "spec": spec}
    types = read._derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"]
    assert types["spot"]["resources"]["CPU"] == 8
    assert types["spot"]["max_workers"] == 16
    assert [kind["resources"]["CPU"] for name, kind in types.items() if name != "spot"] == [0]


def test_kuberay_knows_each_field():
    spec = job("kuberay.yaml")
    assert spec.keys() <= RAY_JOB
    cluster = spec["rayClusterSpec"]
    assert cluster.keys() <= RAY_CLUSTER
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        assert group.keys() <= GROUP
        mounts = group["template"]["spec"]["containers"][0].get("volumeMounts", [])
        volumes = {volume["name"] for volume in group["template"]["spec"].get("volumes", [])}
        assert {mount["name"] for mount in mounts} == volumes


def test_the_commands_in_both_files_are_ours():
    assert_known(shlex.split(job("kuberay.yaml")["entrypoint"]))
    text = (CLUSTER / "aws.yaml").read_text("utf-8").replace("\\\n#", "")
    lines = [line for line in text.splitlines() if "ray exec" in line]
    told = [line.partition("'")[2].rpartition("'")[0] for line in lines]
    assert len(told) == 2
    for words in told:
        assert_known(shlex.split(words))
