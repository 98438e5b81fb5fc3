"""A causal network small enough for a test, on the backend ``native``."""

from __future__ import annotations

from pathlib import Path

import torch
from support.doubles import SOURCES

from streamer.models import load
from streamer.models.networks.causal import CausalBandSplit
from streamer.models.networks.checkpoint import write_network
from streamer.models.separator import Bag


def small_causal(folder: Path, kind: type[CausalBandSplit] = CausalBandSplit) -> Bag:
    """Return a random network, whose every weight matters; `CausalFilters` has hops of 64."""
    torch.manual_seed(0)
    network = kind(SOURCES, width=16, depth=2, hidden=16)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for one in network.parameters():
            one += 0.1 * torch.randn(one.shape, generator=generator)
    write_network(network, folder / "small.safetensors")
    return load(str(folder / "small.safetensors"), backend="native")
