"""Workers on a Ray cluster of two nodes: the command, a worker and a node are killed in turn."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batch.support.runs import count, files, make_library, start, wait_until

from streamer import Settings, separate
from streamer.batch.job import Job
from streamer.batch.manifest import State, open_manifest
from streamer.batch.ray_engine import RayEngine
from streamer.batch.songs import find_songs
from streamer.errors import SettingsError

ray = pytest.importorskip("ray", reason="needs pip install 'stemstream[ray]'")

SONGS, SEED = 32, 3


def workers_of_cluster(cluster: Any) -> list[int]:
    """The processes of the actors of this cluster, and of no other on this machine."""
    session, found = Path(cluster.head_node.get_session_dir_path()).name.encode(), []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and b"_Actor" in (folder / "cmdline").read_bytes():
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if session in Path(f"/proc/{parent}/cmdline").read_bytes():
                    found.append(int(folder.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_a_driver_a_worker_and_a_node_that_go_take_no_song_with_them(tmp_path, monkeypatch):
    from ray.cluster_utils import Cluster

    random = np.random.default_rng(SEED)
    library, out = make_library(tmp_path / "music", SONGS, 0), tmp_path / "out"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        words = ["--engine", "ray", "--address", cluster.address]
        monkeypatch.chdir(tmp_path)  # the workers stay where Ray was started
        run = start(library.name, out.name, *words)
        wanted = int(random.integers(1, 6))
        wait_until(lambda: count(out / ".job") >= wanted or run.poll() is not None)
        time.sleep(random.uniform(0, 0.05))
        run.send_signal(signal.SIGKILL)
        run.communicate()
        left = SONGS - count(out / ".job")
        assert left > 0
        settings = Settings(model="passthrough", out=out)
        engine = RayEngine(settings, None, cluster.address)
        with open_manifest(out / ".job") as manifest:
            job = Job(find_songs([str(library)]), settings, manifest, made=engine.start())
            assert engine.workers == 2
            moments = sorted(random.choice(left - 4, 2, replace=False).tolist())
            for number, _row in enumerate(job.run(engine)):
                if number == moments[0]:
                    os.kill(workers_of_cluster(cluster)[0], signal.SIGKILL)
                if number == moments[1]:
                    cluster.remove_node(nodes[0], allow_graceful=False)
            engine.close()
        assert {row.state for row in job.rows.values()} == {State.DONE}
    finally:
        ray.shutdown()
        cluster.shutdown()
    separate(sorted(library.iterdir()), model="passthrough", out=tmp_path / "alone")
    assert files(out) == files(tmp_path / "alone")


def test_what_each_worker_has_of_its_own_is_not_spelled_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("htdemucs").touch()
    Path("mine.safetensors").touch()

    def told(**wish):
        settings = RayEngine(Settings(**wish), 1, None)._settings
        return str(settings.repo), settings.model

    assert told(repo=Path("~/models"), model="htdemucs") == ("~/models", "htdemucs")
    own = str(tmp_path / "mine.safetensors")
    assert told(repo=Path("models"), model="mine.safetensors") == (str(tmp_path / "models"), own)


def test_a_cluster_that_is_not_there_is_one_sentence():
    with pytest.raises(SettingsError, match="ray start"):
        RayEngine(Settings(model="passthrough"), 1, "127.0.0.1:9").start()
