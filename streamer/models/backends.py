"""What can run a model on this machine: the list that `stemstream bench` goes through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from streamer.errors import SettingsError
from streamer.models.loading import load, set_up_torch
from streamer.models.registry import FOUR_STEMS, info, names
from streamer.models.separator import Bag, Member

RANDOM: Final = "htdemucs_random"
"""A network built as htdemucs is, with random weights: as fast, and good for nothing else."""
_HTDEMUCS_SEGMENT: Final = Fraction(39, 5)
_HTDEMUCS_BOTTOM_CHANNELS: Final = 512

Load = Callable[[str, float], Bag]


@dataclass(frozen=True)
class Backend:
    """One way to run models. ``load`` takes a model's name and the seconds of its windows."""

    name: str
    load: Load


def _on_cpu(name: str, window_seconds: float, *, bfloat16: bool) -> Bag:
    if name == RANDOM:
        return random_htdemucs(window_seconds, bfloat16=bfloat16)
    return load(name, device="cpu", segment=window_seconds, exact_window=True, bfloat16=bfloat16)


BACKENDS: Final = (
    Backend("torch cpu float32", lambda name, window: _on_cpu(name, window, bfloat16=False)),
    Backend("torch cpu bfloat16", lambda name, window: _on_cpu(name, window, bfloat16=True)),
)


def backend(name: str) -> Backend:
    """Return the backend of that name.

    Raises:
        SettingsError: there is none.
    """
    found = [one for one in BACKENDS if one.name == name]
    if not found:
        known = ", ".join(one.name for one in BACKENDS)
        raise SettingsError(f"no backend is named {name!r}; there are {known}")
    return found[0]


def is_network(model: str) -> bool:
    """Return whether a model has something to compute: else all backends are alike."""
    return model not in names() or info(model).origin != "none"


def random_htdemucs(window_seconds: float, *, bfloat16: bool = False) -> Bag:
    """Return a network of htdemucs's size, 41 M parameters, with the same random weights always.

    Raises:
        ModelError: the window is longer than htdemucs's.
    """
    set_up_torch()
    import torch
    from demucs.htdemucs import HTDemucs

    from streamer.models.quantized import quantize
    from streamer.models.torch_separator import TorchSeparator

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = HTDemucs(
            list(FOUR_STEMS),
            bottom_channels=_HTDEMUCS_BOTTOM_CHANNELS,
            segment=_HTDEMUCS_SEGMENT,
            use_train_segment=False,
        ).eval()
    device = torch.device("cpu")
    autocast = quantize(network, device, compute=True) if bfloat16 else None
    separator = TorchSeparator(network, device, autocast=autocast, segment=window_seconds)
    members = [Member(separator, (1.0,) * len(FOUR_STEMS))]
    return Bag(RANDOM, members, separator.names, separator.samplerate, separator.channels)
