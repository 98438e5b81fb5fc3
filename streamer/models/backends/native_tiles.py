"""Matrix products in vector instructions, for compiled code: a tile of the result at a time.

A tile is what a processor with vectors of 256 or 512 bits holds in its registers: nothing is
written before a sum is whole, and what is read once serves all of it. That is as fast as a BLAS at
these sizes, which takes locks, threads and memory of its own. The loop is written in LLVM's own
language, where a vector is a type: LLVM makes vectors of Python's loops, too, but not of these, and
takes seconds over it.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numba.extending
from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils

LANES: Final = 16
"""How many numbers a vector has."""

# Numba's annotations cover a part of it, another part in each version.
_intrinsic: Any = numba.extending.intrinsic
_cgutils: Any = cgutils
_binding: Any = binding
_config: Any = config
_INDEX: Final = ir.IntType(64)
_FLOAT: Final = ir.FloatType()
_HALF: Final = ir.HalfType()
_ANY_ORDER: Final = ("contract",)  # products may be added as they come


_ARM: Final = ("arm64", "aarch64")


def widens_halves() -> bool:
    """Return whether the processor makes float32 of float16 by itself: LLVM alone cannot."""
    if _config.CPU_NAME or _config.CPU_FEATURES:  # compiled for another
        return False
    return bool(_binding.get_host_cpu_features().get("f16c")) or platform.machine() in _ARM


@dataclass(frozen=True)
class _Size:
    """A tile's rows, the vectors beside each other in each, and the numbers in a vector."""

    rows: int
    vectors: int
    lanes: int


def _tile(size: _Size) -> Any:
    """Return a function for compiled code: ``tile(x, weight, bias, out, row, column)``.

    It writes ``x @ weight + bias`` to the part of ``out`` that begins at ``row`` and ``column``;
    nobody checks that it is there. All have two dimensions and contiguous rows of float32; a
    ``weight`` of uint16 is float16, which Numba does not know. A ``bias`` of one dimension is
    that of each row.
    """

    def tile(
        _typing: Any, x: Any, weight: Any, bias: Any, out: Any, row: Any, column: Any
    ) -> tuple[Any, Any]:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            arrays = [
                _Array(context, builder, kind, value)
                for kind, value in zip(signature.args[:4], arguments[:4], strict=True)
            ]
            _multiply(builder, arrays, arguments[4:], size)
            return context.get_dummy_value()

        return types.void(x, weight, bias, out, row, column), generate

    return _intrinsic(tile)


class _Array:
    """An array of compiled code, while that is made."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        self._builder = builder
        self._data = builder.ptrtoint(array.data, _INDEX)
        self._kind, self._bytes = (_HALF, 2) if kind.dtype == types.uint16 else (_FLOAT, 4)
        self.columns = _cgutils.unpack_tuple(builder, array.shape)[-1]
        strides = _cgutils.unpack_tuple(builder, array.strides)
        self._stride = strides[0] if kind.ndim > 1 else _INDEX(0)

    def load(self, row: Any, column: Any, lanes: int) -> Any:
        """Return a vector of float32."""
        place = self._at(row, column, lanes)
        vector = self._builder.load(place, align=self._bytes)
        if self._kind == _FLOAT:
            return vector
        return self._builder.fpext(vector, ir.VectorType(_FLOAT, lanes))

    def store(self, vector: Any, row: Any, column: Any, lanes: int) -> None:
        """Write a vector."""
        self._builder.store(vector, self._at(row, column, lanes), align=self._bytes)

    def _at(self, row: Any, column: Any, lanes: int) -> Any:
        build = self._builder
        in_row = build.mul(column, _INDEX(self._bytes))
        address = build.add(self._data, build.add(build.mul(row, self._stride), in_row))
        return build.inttoptr(address, ir.VectorType(self._kind, lanes).as_pointer())


def _multiply(builder: Any, arrays: Sequence[_Array], place: Sequence[Any], size: _Size) -> None:
    """Write a tile's instructions."""
    x, weight, bias, out = arrays
    lanes = size.lanes
    rows = [builder.add(place[0], _INDEX(index)) for index in range(size.rows)]
    columns = [builder.add(place[1], _INDEX(lanes * index)) for index in range(size.vectors)]
    # LLVM keeps them in registers
    sums = {
        (row, column): _cgutils.alloca_once(builder, ir.VectorType(_FLOAT, lanes))
        for row in rows
        for column in columns
    }
    for (row, column), total in sums.items():
        builder.store(bias.load(row, column, lanes), total)
    with _cgutils.for_range(builder, x.columns) as loop:
        factors = {column: weight.load(loop.index, column, lanes) for column in columns}
        values = {row: _spread(builder, x.load(row, loop.index, 1), lanes) for row in rows}
        for (row, column), total in sums.items():
            more = builder.fmul(values[row], factors[column], flags=_ANY_ORDER)
            builder.store(builder.fadd(builder.load(total), more, flags=_ANY_ORDER), total)
    for (row, column), total in sums.items():
        out.store(builder.load(total), row, column, lanes)


def _spread(builder: Any, single: Any, lanes: int) -> Any:
    """Return a vector that repeats the one number of another."""
    firsts = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(single, single, firsts)


TALL: Final = 6
WIDE: Final = 4 * LANES
tall: Final = _tile(_Size(TALL, 1, LANES))
"""A tile of `TALL` rows and `LANES` columns."""
wide: Final = _tile(_Size(1, WIDE // LANES, LANES))
"""A tile of one row and `WIDE` columns."""
narrow: Final = _tile(_Size(1, 1, LANES))
"""A tile of one row and `LANES` columns."""
single: Final = _tile(_Size(1, 1, 1))
"""A tile of one number."""
