"""Workers on a Ray cluster of two nodes, one of which goes in the middle of the job."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamer import Settings, separate
from streamer.batch.job import Job
from streamer.batch.manifest import State, open_manifest
from streamer.batch.ray_engine import RayEngine
from streamer.batch.songs import find_songs
from streamer.errors import SettingsError

ray = pytest.importorskip("ray", reason="needs pip install 'stemstream[ray]'")

RATE, SONGS = 44100, 24


@pytest.fixture
def library(tmp_path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    random = np.random.default_rng(3)
    for number in range(SONGS):
        soundfile.write(folder / f"{number}.wav", random.uniform(-0.5, 0.5, (RATE, 2)), RATE)
    return folder


def files(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.*")}


@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_a_node_that_goes_takes_no_song_with_it(library, tmp_path):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        settings = Settings(model="passthrough", out=tmp_path / "out")
        engine = RayEngine(settings, None, cluster.address)
        with open_manifest(tmp_path / "job") as manifest:
            job = Job(find_songs([str(library)]), settings, manifest, made=engine.start())
            assert engine.workers == 2
            for number, _row in enumerate(job.run(engine)):
                if number == 5:
                    cluster.remove_node(nodes[0], allow_graceful=False)
            engine.close()
        assert {row.state for row in job.rows.values()} == {State.DONE}
    finally:
        ray.shutdown()
        cluster.shutdown()
    separate(sorted(library.iterdir()), model="passthrough", out=tmp_path / "alone")
    assert files(tmp_path / "out") == files(tmp_path / "alone")


def test_a_cluster_that_is_not_there_is_one_sentence():
    with pytest.raises(SettingsError, match="ray start"):
        RayEngine(Settings(model="passthrough"), 1, "127.0.0.1:9").start()
