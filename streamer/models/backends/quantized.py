"""Linear and convolution layers with half the bits; the rest of a network stays float32.

Norms, softmax, embeddings and the Fourier transforms keep float32. The layers' weights are rounded
once, which halves their memory, and `torch.autocast` computes with them. docs/models.md tells what
this costs in sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import nn

from streamer.models.networks.checkpoint import Network
from streamer.settings import Precision

TYPES: Final[Mapping[Precision, torch.dtype | None]] = {
    "float32": None,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
"""The type that layers are computed in; None: as they are."""

SLOW_BFLOAT16: Final = (
    "torch multiplies bfloat16 on this processor many times slower than float32; "
    "try --precision float32"
)

LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.MultiheadAttention,  # its input projections are a parameter of its own
)


def has_bfloat16() -> bool:
    """Return whether torch has quick products of bfloat16 on this processor.

    Its library for them, oneDNN, wants AVX-512 (x86) or BF16 (Arm). Without it torch multiplies
    number by number, about a hundred times slower than in float32.
    """
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return there and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def round_layers(network: Network, dtype: torch.dtype) -> None:
    """Round the weights of a network's layers to a type, in place."""
    for layer in network.modules():
        if isinstance(layer, LAYERS):
            for parameter in layer.parameters(recurse=False):
                parameter.data = parameter.data.to(dtype)
