"""A network with its linear and convolution layers in bfloat16, made from float32 ones at load.

The weights of those layers are rounded to bfloat16, which halves them; norms, softmax, embeddings
and the Fourier transforms stay float32. Where the processor multiplies bfloat16 faster than float32
the layers are computed in it as well (`torch.autocast`). Elsewhere the rounded weights are kept as
float32, and only the rounding remains: no loss of speed, but no gain. What it costs in sound is
measured by ``bench/quantized.py`` and stands in docs/models.md.
"""

from __future__ import annotations

import math
import time
from functools import cache

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


# Products of a fraction of a millisecond, and the best of many: other load only adds to a time.
_PROBE_SIZE = 256
_PROBE_RUNS = 10
_PROBE_GAIN = 0.8  # below this share of the time it pays for the conversions that it needs


def quantize(
    network: Network, device: torch.device, *, compute: bool | None = None
) -> torch.dtype | None:
    """Round a network's layers in place; return the type to compute them in (None: float32).

    Args:
        network: the network.
        device: where it will run.
        compute: whether to compute in bfloat16 as well (None: if it is faster here).
    """
    if compute is None:
        compute = is_bfloat16_faster(device)
    for layer in network.modules():
        if isinstance(layer, LAYERS):
            for parameter in layer.parameters(recurse=False):
                rounded = parameter.data.to(torch.bfloat16)
                parameter.data = rounded if compute else rounded.to(torch.float32)
    return torch.bfloat16 if compute else None


@cache
def is_bfloat16_faster(device: torch.device) -> bool:
    """Return whether a device multiplies matrices faster in bfloat16 than in float32.

    A CPU is measured, once a process: there are some that list the instructions and run them at
    half the speed of float32's.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    best = {torch.bfloat16: math.inf, torch.float32: math.inf}
    for _ in range(_PROBE_RUNS):
        for dtype in best:
            best[dtype] = min(best[dtype], _product_seconds(dtype))
    return best[torch.bfloat16] < _PROBE_GAIN * best[torch.float32]


def _product_seconds(dtype: torch.dtype) -> float:
    matrix = torch.ones(_PROBE_SIZE, _PROBE_SIZE, dtype=dtype)
    start = time.perf_counter()
    torch.mm(matrix, matrix)
    return time.perf_counter() - start


def weight_bytes(network: Network) -> int:
    """Return the memory that a network's parameters take."""
    return sum(p.numel() * p.element_size() for p in network.parameters())
