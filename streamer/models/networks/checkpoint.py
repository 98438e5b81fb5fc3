"""Make a demucs network from a weights file, without running any code from the file.

A safetensors file holds numbers, and text that names the class to build. `demucs.hf` imports any
such name, so the name is checked here first. The arguments (`arguments`) and the shapes of the
tensors are checked too, before anything is built. A pickle (``.th``) can run code when it is
opened, so it is opened only if the user trusts it.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.hf import _decode_json, load_safetensors_model
from demucs.htdemucs import HTDemucs
from demucs.states import load_model
from torch.overrides import TorchFunctionMode

from streamer.errors import ModelError, WeightsError
from streamer.models.networks.arguments import checked_arguments
from streamer.models.networks.causal import CausalBandSplit
from streamer.models.networks.filters import CausalFilters
from streamer.models.networks.mask_unet import MaskUNets
from streamer.models.networks.masked import MaskedHTDemucs

Network: TypeAlias = Any  # one of NETWORKS: demucs's classes carry no types

NETWORKS = (Demucs, HDemucs, HTDemucs, MaskedHTDemucs, CausalBandSplit, CausalFilters, MaskUNets)
_CLASSES = {f"{network.__module__}.{network.__name__}": network for network in NETWORKS}
# Files written before 0.2 name these classes where they were then, and demucs imports what a file
# names: pickles, too.
for _network in (MaskedHTDemucs, CausalBandSplit):
    _module = _network.__module__.replace(".networks.", ".")
    sys.modules.setdefault(_module, sys.modules[_network.__module__])
    _CLASSES[f"{_module}.{_network.__name__}"] = _network
_QUANTIZERS = frozenset(
    {"diffq.diffq.DiffQuantizer", "diffq.lsq.LSQ", "diffq.uniform.UniformQuantizer"}
)
_LONGEST_ARGUMENTS: Final = 100_000  # characters
_MOST_QUANTIZED: Final = 8
"""The most numbers in a byte of diffq's form: one bit each."""


def read_network(path: Path, *, trust_checkpoint: bool = False) -> Network:
    """Return the network in a file, on the CPU, in evaluation mode and without gradients.

    Raises:
        WeightsError: the file is not a whole checkpoint of Demucs, names a foreign class, or is a
            pickle and ``trust_checkpoint`` is not set.
        ModelError: it needs a package that is not installed.
    """
    if path.suffix == ".safetensors":
        _check_metadata(path)
        network = _build(path, load_safetensors_model)
    elif trust_checkpoint:
        network = _build(path, load_model)
    else:
        raise WeightsError(
            f"{path} is a pickle, which can run code; --trust-checkpoint loads it if you know "
            "where it comes from"
        )
    if not isinstance(network, NETWORKS):
        raise WeightsError(f"{path} holds a {type(network).__name__}, not a network of Demucs")
    network.eval()
    network.requires_grad_(False)
    return network


def write_network(network: Network, path: Path) -> None:
    """Write a network as safetensors, as Demucs publishes its own; `read_network` reads it."""
    from safetensors.torch import save

    state = {name: one.contiguous() for name, one in network.state_dict().items()}
    path.write_bytes(save(state, metadata_of(network)))  # its own `save_file` hides it from others


def metadata_of(network: Network) -> dict[str, str]:
    """Return the metadata of a safetensors file with this network, for `read_network`."""
    args, kwargs = network._init_args_kwargs
    klass = type(network)
    return {
        "klass": f"{klass.__module__}.{klass.__name__}",
        "args": json.dumps(_encoded(args)),
        "kwargs": json.dumps(_encoded(kwargs)),
    }


def _encoded(value: object) -> object:
    """Return the value as JSON for `demucs.hf._decode_json`."""
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    if isinstance(value, dict):
        return {key: _encoded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(item) for item in value]
    return value


def _build(path: Path, build: Any) -> Network:
    try:
        with warnings.catch_warnings():
            # Demucs says which arguments of older versions it drops; nobody can act on that.
            warnings.simplefilter("ignore")
            return build(path)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] == "diffq":
            raise diffq_missing(str(path)) from error
        raise _unreadable(path, error) from error
    except Exception as error:  # a damaged or foreign file can fail anywhere in there
        raise _unreadable(path, error) from error


def diffq_missing(what: str) -> ModelError:
    """Return the error for weights in diffq's form if diffq is not installed."""
    return ModelError(
        f"{what} is quantized with diffq, which is not here; `pip install 'stemstream[diffq]'`"
    )


def _check_metadata(path: Path) -> None:
    """Check that a safetensors file names classes, arguments and shapes that fit each other."""
    from safetensors import safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        structure = json.loads(metadata.get("structure", "null"))
        classes = list(_classes(structure))
    except Exception as error:  # SafetensorError, OSError, JSON that is none or is too deep
        raise _unreadable(path, error) from error
    missing = [key for key in ("klass", "args", "kwargs") if key not in metadata]
    if missing:
        raise WeightsError(
            f"{path} says nothing of {', '.join(missing)} in its metadata, so it is no checkpoint "
            "of Demucs; export it as docs/models.md says"
        )
    _check_classes(path, [metadata["klass"]], _CLASSES)
    _check_classes(path, classes, _QUANTIZERS)
    if structure is not None and find_spec("diffq") is None:
        raise diffq_missing(str(path))
    try:
        sketch = _sketch(metadata)
        if structure is None:
            _compare(shapes, sketch)
        elif sum(map(math.prod, sketch.values())) > _MOST_QUANTIZED * path.stat().st_size:
            raise ValueError("it is too small for the network that it describes")
    except Exception as error:  # demucs's own assertions, and numbers too large for a tensor
        raise _unreadable(path, error) from error


def _sketch(metadata: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Return the tensor shapes of the described network, without taking memory for it."""
    if max(len(metadata["args"]), len(metadata["kwargs"])) > _LONGEST_ARGUMENTS:
        raise ValueError("its arguments are too long")
    klass = _CLASSES[metadata["klass"]]
    args, kwargs = (
        _decode_json(json.loads(metadata[key]))  # type: ignore[no-untyped-call]
        for key in ("args", "kwargs")
    )
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise ValueError("its arguments are no list and no table")
    arguments = checked_arguments(klass, args, kwargs)
    # these change the first numbers alone
    arguments |= {
        name: 0 for name in ("emb_smooth", "rescale") if name in signature(klass).parameters
    }
    with torch.device("meta"), _Unfilled():
        network = klass(**arguments)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


class _Unfilled(TorchFunctionMode):
    """Draws no first numbers for the tensors of a new network.

    A sketch has no place for them. Torch would find that out with its compiler, which takes longer
    to import than all the rest of it.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in ("normal_", "uniform_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _compare(there: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Compare the shapes in a file with the shapes of its network."""
    for name, shape in wanted.items():
        if there.get(name) != shape:
            raise ValueError(f"{name} should be {_by(shape)}, and is {_by(there.get(name))}")
    foreign = there.keys() - wanted.keys()
    if foreign:
        raise ValueError(f"{min(foreign)!a} is no part of the network that it describes")


def _by(shape: tuple[int, ...] | None) -> str:
    return "not there" if shape is None else " by ".join(map(str, shape)) or "one number"


def _check_classes(path: Path, named: list[str], allowed: Collection[str]) -> None:
    for name in named:
        if name not in allowed:
            raise WeightsError(
                f"{path} asks for the class {name!r}, which is none of "
                f"{', '.join(sorted(allowed))}; do not use this file"
            )


def _classes(node: object) -> Iterator[str]:
    """Yield every class that a structure (`demucs.hf._unflatten_state`) would import."""
    if isinstance(node, dict):
        if "_class" in node:
            yield str(node["_class"])
        for value in node.values():
            yield from _classes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _classes(value)


def _unreadable(path: Path, error: Exception) -> WeightsError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return WeightsError(
        f"{path} cannot be loaded as a checkpoint of Demucs ({lines[0].rstrip('.:')[:200]}); "
        "fetch it again"
    )
