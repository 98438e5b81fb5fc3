"""Small random networks, and the forms in which Demucs publishes such things."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from safetensors.torch import save_file

from streamer.models.networks.checkpoint import metadata_of
from streamer.models.networks.masked import MaskedHTDemucs

SOURCES = ["drums", "bass", "other", "vocals"]

Network = Any
Export = Callable[..., Path]


def make_network(kind: str, seed: int = 0, **changes: Any) -> Network:
    """Return a small network with random weights: 'htdemucs', 'masked', 'hdemucs' or 'demucs'."""
    torch.manual_seed(seed)
    common: dict[str, Any] = {"sources": SOURCES, "channels": 8, "samplerate": 8000}
    if kind in ("htdemucs", "masked"):
        common |= {
            "t_layers": 1,
            "bottom_channels": 16,
            "t_heads": 2,
            "t_hidden_scale": 1.0,
            "segment": Fraction(39, 20),
        }
        if kind == "masked":
            masked = {"cac": False, "wiener_iters": -1, "end_iters": -1}
            return MaskedHTDemucs(**(common | masked | changes)).eval()
        return HTDemucs(**(common | changes)).eval()
    if kind == "hdemucs":
        return HDemucs(**(common | {"segment": 2} | changes)).eval()
    return Demucs(**(common | {"segment": 2, "depth": 3} | changes)).eval()


def with_checksum(path: Path) -> Path:
    """Rename ``SIG.EXT`` to ``SIG-CHECKSUM.EXT``, as Demucs names its files."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return path.rename(path.with_stem(f"{path.stem}-{digest}"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Such small networks gain nothing from threads, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Save a network as ``SIG.safetensors`` (or ``.th``) in a folder."""

    def save(
        network: Network, signature: str, *, suffix: str = ".safetensors", **extra: str
    ) -> Path:
        path = tmp_path / f"{signature}{suffix}"
        if suffix == ".safetensors":
            tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
            save_file(tensors, path, metadata=metadata_of(network) | extra)
        else:
            args, kwargs = network._init_args_kwargs
            state = network.state_dict()
            package = {"klass": type(network), "args": args, "kwargs": kwargs, "state": state}
            torch.save(package, path)
        return path

    return save


@pytest.fixture
def make() -> Callable[..., Network]:
    """`make_network`, for tests (test folders are no packages)."""
    return make_network


@pytest.fixture
def checksummed() -> Callable[[Path], Path]:
    """`with_checksum`, likewise."""
    return with_checksum


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """Random windows, ``(windows, frames, channels)``."""

    def draw(windows: int, frames: int) -> np.ndarray:
        generator = np.random.default_rng(0)
        return generator.normal(0, 0.1, (windows, frames, 2)).astype(np.float32)

    return draw
