"""Fixtures for all tests: a model, FFmpeg's command as the decoder that is not ours, disks."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support.disks import mounted
from support.doubles import bag_of, tiny

from streamer.audio import Samples
from streamer.models.separator import Bag

SERVERS = {"pulse", "jack", "pipewire", "portaudio"}
"""The fixtures that start a sound server, or use what is started."""

# the networks here are so small that a second thread costs more than it brings
torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)  # before those that are not asked for are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what plays through a real sound server: it is to have the machine for itself."""
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("servers")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache folder that is empty when the tests begin: nothing from outside, nothing left.

    Processes that share the tests share it: what one has compiled, the others need not.
    """
    base = tmp_path_factory.getbasetemp()
    whole = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = whole / "cache"
    folder.mkdir(exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(folder)


@pytest.fixture(scope="session")
def tiny_bag() -> Bag:
    """One random HTDemucs."""
    return bag_of([tiny()], [[1] * 4])


@pytest.fixture(scope="session")
def ffmpeg() -> Callable[..., bytes]:
    """Run the ffmpeg command, return what it writes to its standard output."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs the ffmpeg command: apt-get install ffmpeg")

    def run(*arguments: str | Path, given: bytes = b"") -> bytes:
        command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout

    return run


@pytest.fixture(scope="session")
def decode(ffmpeg: Callable[..., bytes]) -> Callable[..., Samples]:
    """Decode one audio stream of a file with the ffmpeg command."""

    def run(path: Path, channels: int = 2, stream: int = 0) -> Samples:
        data = ffmpeg("-i", f"file:{path}", "-map", f"0:a:{stream}", "-f", "f32le", "-")
        return np.frombuffer(data, np.float32).reshape(-1, channels)

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    with mounted(tmp_path, "size=256k") as disk:
        yield disk


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that takes no files; not even root may write to it."""
    with mounted(tmp_path, "size=256k,ro") as disk:
        yield disk
