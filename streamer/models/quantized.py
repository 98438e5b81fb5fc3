"""A network with its linear and convolution layers in bfloat16, made from float32 ones at load.

The weights of those layers are rounded to bfloat16, which halves them; norms, softmax, embeddings
and the Fourier transforms stay float32. Where the processor multiplies bfloat16 natively the layers
are computed in it as well (`torch.autocast`); elsewhere that would be slower than float32, so the
rounded weights are kept as float32 and it is only the rounding that remains. What it costs in sound
is measured by ``bench/quantized.py`` and stands in docs/models.md.
"""

from __future__ import annotations

import torch
from torch import nn

from streamer.models.checkpoint import Network

LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.MultiheadAttention,  # its input projections are a parameter of its own
)


def quantize(network: Network, device: torch.device) -> torch.dtype | None:
    """Round a network's layers in place; return the type to compute them in (None: float32)."""
    native = computes_bfloat16(device)
    for layer in network.modules():
        if isinstance(layer, LAYERS):
            for parameter in layer.parameters(recurse=False):
                rounded = parameter.data.to(torch.bfloat16)
                parameter.data = rounded if native else rounded.to(torch.float32)
    return torch.bfloat16 if native else None


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 natively, so that it is worth computing in."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # Newer than the oldest torch this package takes; without it the answer is the safe one.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(bool(there) for flag, there in capabilities.items() if "bf16" in flag)


def weight_bytes(network: Network) -> int:
    """Return the memory that a network's parameters take."""
    return sum(p.numel() * p.element_size() for p in network.parameters())
