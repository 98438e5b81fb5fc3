"""The allowed arguments of a network. They come from a weights file, which may contain anything.

Each argument of each class of `checkpoint.NETWORKS` has a rule here; any other is refused. So
a file of 1 KB cannot ask for a network of 12 GB, nor for one that only fails while it runs.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from streamer.models.weights.bags import MOST_WINDOW_SECONDS
from streamer.naming import distinct_names

MOST_WINDOW_FRAMES: Final = 6_000_000
"""The most of ``segment`` times ``samplerate``: two minutes at 48 kHz."""


@dataclass(frozen=True)
class Rule:
    """A test of a value, and the same rule in words."""

    holds: Callable[[Any], bool]
    words: str


def _whole(low: int, high: int, *, multiple: int = 1) -> Rule:
    def holds(value: Any) -> bool:
        return type(value) is int and low <= value <= high and value % multiple == 0

    of = f", a multiple of {multiple}" if multiple > 1 else ""
    return Rule(holds, f"a whole number between {low} and {high}{of}")


def _number(low: float, high: float) -> Rule:
    def holds(value: Any) -> bool:
        return type(value) in (int, float, Fraction) and low <= value <= high  # NaN is neither

    return Rule(holds, f"a number between {low:g} and {high:g}")


def _one_of(*choices: object) -> Rule:
    def holds(value: Any) -> bool:
        return any(type(value) is type(choice) and value == choice for choice in choices)

    return Rule(holds, f"one of {', '.join(map(str, choices))}")


def _either(first: Rule, second: Rule) -> Rule:
    return Rule(lambda v: first.holds(v) or second.holds(v), f"{first.words}, or {second.words}")


def _list(each: Rule, least: int, most: int) -> Rule:
    def holds(value: Any) -> bool:
        return (
            isinstance(value, list | tuple)
            and least <= len(value) <= most
            and all(map(each.holds, value))
        )

    return Rule(holds, f"a list of {least} to {most}, each {each.words}")


def _are_names(value: Any) -> bool:
    if not isinstance(value, list | tuple):
        return False
    try:
        return bool(distinct_names(value))
    except ValueError:
        return False


_SWITCH: Final = _one_of(True, False)
_NONE: Final = Rule(lambda value: value is None, "none")
_GROUPS: Final = _either(_SWITCH, _whole(0, 1024))
_INDEX: Final = _whole(0, 100)  # of a layer; one past the last means: in none
_WIENER: Final = _whole(-1, 10)

RULES: Final[Mapping[str, Rule]] = {
    "sources": Rule(_are_names, "a list of stems' names, each plain text and there once"),
    "samplerate": _whole(1000, 384_000),
    "segment": _number(0.01, MOST_WINDOW_SECONDS),
    "use_train_segment": _SWITCH,
    # sizes
    "audio_channels": _whole(1, 64),
    "channels": _whole(1, 4096),
    "channels_time": _either(_NONE, _whole(1, 4096)),
    "bottom_channels": _whole(0, 16384),
    "bottleneck": _whole(1, 4096),
    "growth": _number(1, 4),
    "depth": _whole(1, 12),
    "width": _whole(8, 4096, multiple=8),
    "hidden": _whole(1, 8192),
    "lstm_layers": _whole(0, 8),
    # the spectrum
    "nfft": _whole(64, 65536, multiple=4),
    "cac": _SWITCH,
    "wiener_iters": _WIENER,
    "end_iters": _WIENER,
    "wiener_residual": _SWITCH,
    "hybrid": _SWITCH,
    "hybrid_old": _SWITCH,
    "multi_freqs": _either(_NONE, _list(_number(0.001, 0.999), 0, 16)),
    "multi_freqs_depth": _INDEX,
    "freq_emb": _either(_NONE, _number(0, 100)),
    "emb_scale": _number(0.001, 10_000),
    "emb_smooth": _SWITCH,
    # convolutions
    "kernel_size": _whole(1, 64),
    "stride": _whole(1, 64),
    "time_stride": _whole(1, 64),
    "context": _whole(0, 16),
    "context_enc": _whole(0, 16),
    "rewrite": _SWITCH,
    "gelu": _SWITCH,
    "glu": _SWITCH,
    "normalize": _SWITCH,
    "resample": _SWITCH,
    "rest": _SWITCH,
    "rescale": _either(_NONE, _number(0, 100)),
    "norm_starts": _INDEX,
    "norm_groups": _whole(1, 4096),
    "dconv_mode": _whole(0, 3),
    "dconv_depth": _whole(0, 8),
    "dconv_comp": _number(1, 256),
    "dconv_attn": _INDEX,
    "dconv_lstm": _INDEX,
    "dconv_init": _number(0, 100),
    # the transformer
    "t_layers": _whole(0, 32),
    "t_emb": _one_of("sin", "cape", "scaled"),
    "t_hidden_scale": _number(0.01, 16),
    "t_heads": _whole(1, 256),
    "t_dropout": _number(0, 1),
    "t_max_positions": _whole(1, 1_000_000),
    "t_norm_in": _SWITCH,
    "t_norm_in_group": _GROUPS,
    "t_group_norm": _GROUPS,
    "t_norm_first": _SWITCH,
    "t_norm_out": _GROUPS,
    "t_max_period": _number(1.001, 1e9),
    "t_weight_decay": _number(0, 100),
    "t_lr": _either(_NONE, _number(0, 100)),
    "t_layer_scale": _SWITCH,
    "t_gelu": _SWITCH,
    "t_weight_pos_embed": _number(-1000, 1000),
    "t_sin_random_shift": _whole(0, 1_000_000),
    "t_cape_mean_normalize": _SWITCH,
    "t_cape_augment": _SWITCH,
    "t_cape_glob_loc_scale": _list(_number(0, 1e9), 3, 3),
    "t_cross_first": _SWITCH,
    # sparse attention needs xformers, which is no part of this
    "t_sparse_self_attn": _one_of(False),
    "t_sparse_cross_attn": _one_of(False),
    "t_auto_sparsity": _SWITCH,
    "t_mask_type": Rule(lambda v: isinstance(v, str) and len(v) <= 100, "text"),
    "t_mask_random_seed": _whole(0, 2**32 - 1),
    "t_sparse_attn_window": _whole(0, 1_000_000),
    "t_global_window": _whole(0, 1_000_000),
    "t_sparsity": _number(0, 1),
}


def checked_arguments(
    network: type, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments by name, for a class of networks, without those that it does not have.

    (Demucs also drops them: older versions had more arguments.)

    Raises:
        ValueError: an argument is wrong; the message says which, and what it must be.
    """
    signature = inspect.signature(network)
    known = {name: value for name, value in kwargs.items() if name in signature.parameters}
    try:
        bound = signature.bind(*args, **known)
    except TypeError as error:
        raise ValueError(f"its arguments are not those of {network.__name__}: {error}") from None
    for name, value in bound.arguments.items():
        rule = RULES.get(name)
        if rule is None:
            raise ValueError(f"{name} is not known to be harmless")
        if not rule.holds(value):
            shown = ascii(value)
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            raise ValueError(f"{name}={shown} must be {rule.words}")
    arguments: dict[str, Any] = dict(bound.arguments)
    bound.apply_defaults()
    _check_together(network, bound.arguments)
    return arguments


def _check_together(network: type, arguments: Mapping[str, Any]) -> None:
    frames = float(arguments["segment"]) * arguments["samplerate"]
    if not 1 <= frames <= MOST_WINDOW_FRAMES:
        raise ValueError(
            f"segment times samplerate is {math.floor(frames)} frames, and must be between 1 and "
            f"{MOST_WINDOW_FRAMES}"
        )
    if network.__name__ == "MaskedHTDemucs":
        wanted = {"cac": False, "wiener_iters": -1, "end_iters": -1}
        wrong = [name for name, value in wanted.items() if arguments[name] != value]
        if wrong:
            raise ValueError(f"{wrong[0]} must be {wanted[wrong[0]]} where spectra are masked")
