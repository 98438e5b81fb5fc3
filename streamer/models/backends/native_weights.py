"""The weights of the causal network (`causal`) as arrays for compiled code: checked and packed.

::

    network = pack(arrays, stems=4, channels=2)   # of a file, by the names that torch gives them
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.audio import Samples
from streamer.errors import ModelError
from streamer.models.backends.native_tiles import LANES, widens_halves
from streamer.models.networks.causal_shape import (
    BAND_HEADS,
    BANDS,
    FFT,
    GROUPS,
    HOP,
    SHARPNESS,
    TAPS,
    TIME_HEADS,
)
from streamer.models.networks.filter_shape import (
    AHEAD,
    EARLY,
    FALL,
    FILTER_HOP,
    PARTS,
    TURNS,
    filter_rise,
    filter_window,
)
from streamer.models.networks.spectrum import low_delay_windows

Matrices: TypeAlias = NDArray[np.float32] | NDArray[np.uint16]
"""Those of a network are all float32, or all float16, which Numba knows as uint16."""


class Layers(NamedTuple):
    """The weights of all layers, ``(depth, ...)``. Linear ones are ``(inputs, outputs)``.

    A norm is ``(2, width)``: weight and bias. ``decay`` is what a gate that is wholly open adds to
    the logarithm of what is kept of a memory. ``across_bias`` has `LANES` columns more than there
    are features, for tiles that reach beyond the last.
    """

    time_norm: Samples
    time_in: Matrices
    time_in_bias: Samples
    taps: Samples
    taps_bias: Samples
    gates: Matrices
    gates_bias: Samples
    decay: Samples
    time_out: Matrices
    time_out_bias: Samples
    band_norm: Samples
    band_in: Matrices
    band_in_bias: Samples
    across: Samples
    across_bias: Samples
    band_out: Matrices
    band_out_bias: Samples
    mix_norm: Samples
    mix_in: Matrices
    mix_in_bias: Samples
    mix_out: Matrices
    mix_out_bias: Samples


class FilterTables(NamedTuple):
    """What is needed to make filters of masks; see `filter_shape`.

    ``turns`` is how many memories take turns, ``parts`` how many hops there are for
    computing a filter, the one that first needs it among them.
    ``window`` is that of its taps, ``ahead`` of them ahead; it is heard ``early``; ``rise`` is how
    much of it is heard over its period. ``points`` are the points of each bin, ``zeros`` as many
    as a hop has frames. Of a network without filters the arrays are empty, and its only memory has
    each turn.
    """

    turns: int
    parts: int
    ahead: int
    early: int
    window: Samples
    rise: Samples
    points: NDArray[np.int64]
    zeros: Samples


class NativeNetwork(NamedTuple):
    """A network that is ready to run. Nothing writes to it, so threads can share it.

    ``table`` has a row for each band: its first bin, its bins, its first point, its points, where
    its weights begin in ``encoders``, and where in ``heads``. ``bands`` is what is added to each
    band, ``(bands, width)``. ``turns`` are cosine and sine for `native_kernels.fourier`.
    """

    stems: int
    channels: int
    table: NDArray[np.int64]
    encoders: Matrices
    bands: Samples
    layers: Layers
    norm: Samples
    hidden: Matrices
    hidden_bias: Samples
    heads: Matrices
    heads_bias: Samples
    analysis: Samples
    synthesis: Samples
    turns: tuple[Samples, Samples]
    filters: FilterTables


def pack(
    weights: Mapping[str, NDArray[Any]], stems: int, channels: int, *, filters: bool = False
) -> NativeNetwork:
    """Return the network that a file's arrays make up; with ``filters`` its masks become some.

    Raises:
        ModelError: they are no causal network with this number of stems and channels.
    """
    _check(weights, stems, channels)
    as_matrices = _halved if _fit_into_halves(weights) else np.asarray

    def one(name: str) -> Samples:
        return np.ascontiguousarray(weights[name], np.float32)

    def all_groups(name: str, part: str) -> Samples:
        return np.concatenate([one(f"{name}.{at}.{part}").ravel() for at in range(len(GROUPS))])

    width, hidden = one("band").shape[1], one("hidden.weight").shape[2] // 2
    analysis, synthesis = low_delay_windows(FFT, FALL if filters else HOP)
    table = _table(width, hidden, stems, channels)
    return NativeNetwork(
        stems=stems,
        channels=channels,
        table=table,
        encoders=as_matrices(all_groups("encoders", "weight")),
        bands=all_groups("encoders", "bias").reshape(-1, width) + one("band"),
        layers=_layers(weights, as_matrices),
        norm=np.stack([one("norm.weight"), one("norm.bias")]),
        hidden=as_matrices(one("hidden.weight")),
        hidden_bias=np.ascontiguousarray(one("hidden.bias")[:, 0]),
        heads=as_matrices(all_groups("masks", "weight")),
        heads_bias=all_groups("masks", "bias"),
        analysis=analysis,
        synthesis=synthesis[:0] if filters else synthesis,
        turns=_circle(FFT),
        filters=_filters(table) if filters else _NO_FILTERS,
    )


def _filters(table: NDArray[np.int64]) -> FilterTables:
    points = [
        point + np.arange(bins) * points // bins for _, bins, point, points, _, _ in table.tolist()
    ]
    return FilterTables(
        turns=TURNS,
        parts=PARTS,
        ahead=AHEAD,
        early=EARLY,
        window=filter_window(),
        rise=filter_rise(),
        points=np.concatenate(points),
        zeros=np.zeros(FILTER_HOP, np.float32),
    )


def _circle(size: int) -> tuple[Samples, Samples]:
    phase = -2 * np.pi * np.arange(size) / size
    return np.cos(phase).astype(np.float32), np.sin(phase).astype(np.float32)


_NOTHING: Final = np.zeros(0, np.float32)
_NO_FILTERS: Final = FilterTables(1, 0, 0, 0, _NOTHING, _NOTHING, np.zeros(0, np.int64), _NOTHING)


def _fit_into_halves(weights: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether all are float16, and the processor is quick with that.

    Between two hops of a live run they leave the processor's cache. In float16 they are back in
    half the time, and of numbers that were float16 nothing is lost.
    """
    return widens_halves() and all(one.dtype == np.float16 for one in weights.values())


def _halved(matrices: Samples) -> Matrices:
    return matrices.astype(np.float16).view(np.uint16)


def _layers(
    weights: Mapping[str, NDArray[Any]], as_matrices: Callable[[Samples], Matrices]
) -> Layers:
    depth = _depth(weights)

    def stacked(name: str, make: Any = np.asarray) -> Samples:
        rows = [make(weights[f"layers.{index}.{name}"]) for index in range(depth)]
        return np.ascontiguousarray(np.stack(rows), np.float32)

    def turned(name: str) -> Matrices:
        return as_matrices(stacked(f"{name}.weight", np.transpose))

    def norms(name: str) -> Samples:
        both = [stacked(f"{name}.{part}") for part in ("weight", "bias")]
        return np.ascontiguousarray(np.stack(both, axis=1))

    return Layers(
        time_norm=norms("over_time.norm"),
        time_in=turned("over_time.inward"),
        time_in_bias=stacked("over_time.inward.bias"),
        taps=stacked("over_time.taps"),
        taps_bias=stacked("over_time.bias"),
        gates=as_matrices(stacked("over_time.gates.weight")),
        gates_bias=stacked("over_time.gates.bias", lambda bias: bias[:, 0]),
        decay=stacked("over_time.rate", _decay),
        time_out=turned("over_time.outward"),
        time_out_bias=stacked("over_time.outward.bias"),
        band_norm=norms("over_bands.norm"),
        band_in=turned("over_bands.inward"),
        band_in_bias=stacked("over_bands.inward.bias"),
        across=stacked("over_bands.across"),
        across_bias=stacked("over_bands.bias", lambda bias: np.pad(bias, ((0, 0), (0, LANES)))),
        band_out=turned("over_bands.outward"),
        band_out_bias=stacked("over_bands.outward.bias"),
        mix_norm=norms("mixed.norm"),
        mix_in=turned("mixed.inward"),
        mix_in_bias=stacked("mixed.inward.bias"),
        mix_out=turned("mixed.outward"),
        mix_out_bias=stacked("mixed.outward.bias"),
    )


def _decay(rate: NDArray[Any]) -> NDArray[np.float64]:
    decay: NDArray[np.float64] = -SHARPNESS * np.logaddexp(0, rate.astype(np.float64))
    return decay


def _table(width: int, hidden: int, stems: int, channels: int) -> NDArray[np.int64]:
    parts, rows = 2 * channels, []
    bin_, point, encoder, head = 0, 0, 0, 0
    for group in GROUPS:
        for _ in range(group.bands):
            rows.append((bin_, group.width, point, group.points, encoder, head))
            bin_ += group.width
            point += group.points
            encoder += group.width * parts * width
            head += hidden * group.points * parts * stems
    return np.array(rows, np.int64)


def _depth(weights: Mapping[str, NDArray[Any]]) -> int:
    return len({name.split(".")[1] for name in weights if name.startswith("layers.")})


def _check(weights: Mapping[str, NDArray[Any]], stems: int, channels: int) -> None:
    """Check all shapes: compiled code would read what lies beyond an array."""
    width = _last(weights, "band")
    if width < 1 or width % BAND_HEADS:
        raise _refusal(f"its bands have {width} features, which is no multiple of {BAND_HEADS}")
    wanted = dict(
        _shapes(width, _depth(weights), _last(weights, "hidden.weight") // 2, stems, channels)
    )
    for name, shape in wanted.items():
        there = weights[name].shape if name in weights else ()
        if there != shape:
            raise _refusal(f"{name} should be {_by(shape)}, and is {_by(there)}")
        if weights[name].dtype.kind != "f":
            raise _refusal(f"{name} holds {weights[name].dtype.name}, no floating-point numbers")
    foreign = weights.keys() - wanted.keys()
    if foreign:
        raise _refusal(f"it has no place for {min(foreign)!a}")


def _shapes(
    width: int, depth: int, hidden: int, stems: int, channels: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and the shape of each array that a network has."""
    parts, inner = 2 * channels, 3 * width // 2
    for at, group in enumerate(GROUPS):
        yield f"encoders.{at}.weight", (group.bands, group.width * parts, width)
        yield f"encoders.{at}.bias", (group.bands, 1, width)
        yield f"masks.{at}.weight", (group.bands, hidden, group.points * parts * stems)
        yield f"masks.{at}.bias", (group.bands, 1, group.points * parts * stems)
    yield "band", (BANDS, width)
    yield from _norm("norm", width)
    yield "hidden.weight", (BANDS, width, 2 * hidden)
    yield "hidden.bias", (BANDS, 1, 2 * hidden)
    head = width // TIME_HEADS
    for at in range(depth):
        layer = f"layers.{at}"
        for part, inside in (("over_time", width), ("over_bands", width), ("mixed", inner)):
            yield from _norm(f"{layer}.{part}.norm", width)
            yield f"{layer}.{part}.inward.weight", (2 * inside, width)
            yield f"{layer}.{part}.inward.bias", (2 * inside,)
            yield f"{layer}.{part}.outward.weight", (width, inside)
            yield f"{layer}.{part}.outward.bias", (width,)
        yield f"{layer}.over_time.taps", (TAPS, width)
        yield f"{layer}.over_time.bias", (width,)
        yield f"{layer}.over_time.gates.weight", (TIME_HEADS, head, 2 * head)
        yield f"{layer}.over_time.gates.bias", (TIME_HEADS, 1, 2 * head)
        yield f"{layer}.over_time.rate", (width,)
        yield f"{layer}.over_bands.across", (BAND_HEADS, BANDS, BANDS)
        yield f"{layer}.over_bands.bias", (BANDS, width)


def _norm(name: str, width: int) -> Sequence[tuple[str, tuple[int, ...]]]:
    return [(f"{name}.weight", (width,)), (f"{name}.bias", (width,))]


def _last(weights: Mapping[str, NDArray[Any]], name: str) -> int:
    return (weights[name].shape or (0,))[-1] if name in weights else 0


def _by(shape: tuple[int, ...]) -> str:
    return " by ".join(map(str, shape)) or "not there"


def _refusal(reason: str) -> ModelError:
    return ModelError(f"backend=native cannot run this network ({reason}); try --backend torch")
