"""The trained network as files that `stemstream -n` and `demucs --repo` load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save

from streamer.files.part import sink_errors
from streamer.models.networks.checkpoint import Network, metadata_of

HALF_COSTS_DB: Final = 0.05
"""What half precision may cost in SDR."""

SUFFIXES: Final = (".safetensors", ".th")

State = dict[str, torch.Tensor]


def export(network: Network, path: Path, state: State) -> None:
    """Write weights of a network as safetensors, and beside them as a ``.th``.

    Class and arguments are in the metadata, where `demucs.hf.load_safetensors_model` reads them.
    The ``.th`` is a pickle for ``demucs --repo``.

    Raises:
        SinkError: they cannot be written.
    """
    args, kwargs = network._init_args_kwargs
    package = {"klass": type(network), "args": args, "kwargs": kwargs, "state": state}
    writers: dict[str, Callable[[Path], object]] = {
        ".safetensors": lambda part: part.write_bytes(save(state, metadata_of(network))),
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
