"""Songs made on the spot, and a network that learns them in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from support.doubles import RATE, SOURCES, tiny

from streamer.audio import Samples
from streamer.models.networks.checkpoint import write_network
from streamer.models.networks.mask_unet import MaskUNets
from streamer.train.export import export, state_of

Write = Callable[..., Path]


def stem_of(kind: int, frames: int, seed: int = 0) -> Samples:
    """A stem that can be told from the others by ear, ``(frames, 2)``."""
    draw = np.random.default_rng([seed, kind])
    time = np.arange(frames) / RATE
    if kind == 0:  # clicks
        sound = draw.standard_normal(frames) * np.exp(-20 * (time % draw.uniform(0.2, 0.3)))
    elif kind == 3:  # a tone that wavers
        sound = np.sin(2 * np.pi * (1500 * time + 8 * np.sin(2 * np.pi * 5 * time)))
    else:
        hertz = {1: 80, 2: 500}[kind] * draw.uniform(0.9, 1.1)
        sound = np.sin(2 * np.pi * hertz * time)
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * draw.uniform(0.3, 0.6) * time + draw.uniform(0, 6))
    sides = np.stack([sound * swell, 0.7 * sound * swell], axis=1)
    return (0.2 * sides).astype(np.float32)


@pytest.fixture
def song(tmp_path: Path) -> Write:
    """Write a song's stems; ``stems`` replaces some, None leaves one out."""

    def write(
        name: str,
        *,
        seconds: float = 4.0,
        seed: int = 0,
        samplerate: int = RATE,
        stems: dict[str, Samples | None] | None = None,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for kind, stem in enumerate(SOURCES):
            sound = (stems or {}).get(stem, stem_of(kind, round(seconds * samplerate), seed))
            if sound is not None:
                soundfile.write(folder / f"{stem}.wav", sound, samplerate, subtype="FLOAT")
        return folder

    return write


@pytest.fixture
def songs(song: Write, tmp_path: Path) -> Path:
    """A folder of four songs."""
    for number in range(4):
        song(f"songs/song {number}", seed=number)
    return tmp_path / "songs"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random network at 8 kHz, as a safetensors file."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    network = tiny()
    export(network, path, state_of(network))
    return path


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network that knows vocals alone, and calls the rest by another name."""
    path = tmp_path_factory.mktemp("model") / "voices.safetensors"
    torch.manual_seed(0)
    network = MaskUNets(["rest", "vocals"], samplerate=RATE)
    write_network(network, path)
    return path


@pytest.fixture(autouse=True)
def keep_threads() -> None:
    """A training may set how many threads torch uses."""
    torch.set_num_threads(1)
