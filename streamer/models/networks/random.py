"""A network with the shape of htdemucs and random weights: as fast, but it separates nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from streamer.models.weights.registry import FOUR_STEMS

RANDOM: Final = "htdemucs_random"
_HTDEMUCS: Final = {"bottom_channels": 512, "dconv_mode": 3}


def write_random_htdemucs(folder: Path, name: str = RANDOM, seed: int = 0) -> Path:
    """Write a checkpoint with htdemucs's shape, 42 M parameters, always the same; return its path.

    Another ``seed`` gives other weights.
    """
    import torch
    from demucs.htdemucs import HTDemucs

    from streamer.models.networks.checkpoint import write_network

    path = folder / f"{name}.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        write_network(HTDemucs(list(FOUR_STEMS), **_HTDEMUCS), path)
    return path
