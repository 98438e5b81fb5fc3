"""Matrix products in vector instructions, for compiled code: a tile of the result at a time.

A tile is what a processor with vectors of 256 or 512 bits holds in its registers: nothing is
written before a sum is whole, and what is read once serves all of it. That is as fast as a BLAS at
these sizes, which takes locks, threads and memory of its own. The loop is written in LLVM's own
language, where a vector is a type: LLVM makes vectors of Python's loops, too, but not of these, and
takes seconds over it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils

LANES: Final = 16
"""How many numbers a vector has."""

# Numba's annotations cover a part of it, another part in each version.
_intrinsic: Any = numba.extending.intrinsic
_cgutils: Any = cgutils
_FLOAT: Final = ir.FloatType()
_VECTOR: Final = ir.VectorType(_FLOAT, LANES)
_FLOAT_BYTES: Final = 4
_ANY_ORDER: Final = ("contract",)  # products may be added as they come


def _tile(rows: int, vectors: int) -> Callable[..., Any]:
    """Return a function for compiled code: ``tile(x, weight, bias, out, row, column)``.

    It writes ``x @ weight + bias`` to ``rows`` rows and ``vectors * LANES`` columns of ``out``,
    from ``row`` and ``column`` on; nobody checks that they are there. All are float32 of two
    dimensions, with contiguous rows. A ``bias`` of one dimension is that of each row.
    """

    def tile(
        _typing: Any, x: Any, weight: Any, bias: Any, out: Any, row: Any, column: Any
    ) -> tuple[Any, Any]:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            arrays = [
                _Array(context, builder, kind, value)
                for kind, value in zip(signature.args[:4], arguments[:4], strict=True)
            ]
            _multiply(builder, arrays, arguments[4:], (rows, vectors))
            return context.get_dummy_value()

        return types.void(x, weight, bias, out, row, column), generate

    return tile


class _Array:
    """An array of compiled code, while that is made."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        self._builder = builder
        self._data = builder.ptrtoint(array.data, ir.IntType(64))
        self.columns = _cgutils.unpack_tuple(builder, array.shape)[-1]
        strides = _cgutils.unpack_tuple(builder, array.strides)
        self._stride = strides[0] if kind.ndim > 1 else ir.Constant(ir.IntType(64), 0)

    def at(self, row: Any, column: Any, kind: Any) -> Any:
        """Return the pointer to a place, as one to ``kind``."""
        build = self._builder
        in_row = build.mul(column, ir.Constant(ir.IntType(64), _FLOAT_BYTES))
        address = build.add(self._data, build.add(build.mul(row, self._stride), in_row))
        return build.inttoptr(address, kind.as_pointer())


def _multiply(
    builder: Any, arrays: Sequence[_Array], place: Sequence[Any], size: tuple[int, int]
) -> None:
    """Write the tile's instructions."""
    x, weight, bias, out = arrays
    rows = [builder.add(place[0], ir.Constant(ir.IntType(64), index)) for index in range(size[0])]
    columns = [
        builder.add(place[1], ir.Constant(ir.IntType(64), LANES * index))
        for index in range(size[1])
    ]
    sums = [[_cgutils.alloca_once(builder, _VECTOR) for _ in columns] for _ in rows]
    for row, of_row in zip(rows, sums, strict=True):
        for column, one in zip(columns, of_row, strict=True):
            builder.store(builder.load(bias.at(row, column, _VECTOR), align=_FLOAT_BYTES), one)
    with _cgutils.for_range(builder, x.columns) as loop:
        factors = [
            builder.load(weight.at(loop.index, column, _VECTOR), align=_FLOAT_BYTES)
            for column in columns
        ]
        for row, of_row in zip(rows, sums, strict=True):
            value = _spread(builder, builder.load(x.at(row, loop.index, _FLOAT)))
            for factor, one in zip(factors, of_row, strict=True):
                more = builder.fmul(value, factor, flags=_ANY_ORDER)
                builder.store(builder.fadd(builder.load(one), more, flags=_ANY_ORDER), one)
    for row, of_row in zip(rows, sums, strict=True):
        for column, one in zip(columns, of_row, strict=True):
            builder.store(builder.load(one), out.at(row, column, _VECTOR), align=_FLOAT_BYTES)


def _spread(builder: Any, value: Any) -> Any:
    """Return a vector whose numbers are all the same."""
    lane = ir.IntType(32)
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(lane, 0))
    return builder.shuffle_vector(
        first, nothing, ir.Constant(ir.VectorType(lane, LANES), [0] * LANES)
    )


TALL: Final = 6
WIDE: Final = 4 * LANES
tall: Any = _intrinsic(_tile(TALL, 1))
"""A tile of `TALL` rows and `LANES` columns."""
wide: Any = _intrinsic(_tile(1, WIDE // LANES))
"""A tile of one row and `WIDE` columns."""
narrow: Any = _intrinsic(_tile(1, 1))
"""A tile of one row and `LANES` columns."""
