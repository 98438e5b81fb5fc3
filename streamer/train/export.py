"""The trained network as files that `stemstream -n` and `demucs --repo` load."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save

from streamer.files.part import sink_errors
from streamer.models.checkpoint import Network

HALF_COSTS_DB: Final = 0.05
"""What half precision may cost in SDR."""

State = dict[str, torch.Tensor]


def export(network: Network, path: Path, state: State) -> None:
    """Write weights of a network as safetensors, and beside them as a ``.th``.

    Class and arguments stand in the metadata, as `demucs.hf.load_safetensors_model` reads them. The
    ``.th`` is a pickle, which is what ``demucs --repo`` reads.

    Raises:
        SinkError: they cannot be written.
    """
    args, kwargs = network._init_args_kwargs
    klass = type(network)
    metadata = {
        "klass": f"{klass.__module__}.{klass.__name__}",
        "args": json.dumps(_encode(args)),
        "kwargs": json.dumps(_encode(kwargs)),
    }
    package = {"klass": klass, "args": args, "kwargs": kwargs, "state": state}
    writers: dict[str, Callable[[Path], object]] = {
        ".safetensors": lambda part: part.write_bytes(save(state, metadata)),
        ".th": lambda part: torch.save(package, part),
    }
    for suffix, write in writers.items():
        target = path.with_suffix(suffix)
        with sink_errors(target):
            part = target.with_suffix(f"{suffix}.part")
            write(part)
            part.replace(target)


def state_of(network: Network, *, half: bool = False) -> State:
    """Return the weights on the CPU, floating ones in half precision if asked for."""
    return {
        name: one.detach()
        .to("cpu", torch.float16 if half and one.is_floating_point() else None)
        .clone()
        .contiguous()
        for name, one in network.state_dict().items()
    }


def _encode(value: object) -> object:
    """The inverse of `demucs.hf._decode_json`."""
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    if isinstance(value, dict):
        return {key: _encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value
