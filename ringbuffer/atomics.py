"""Acquire loads, release stores and arrays at addresses, for Numba.

Numba has no atomics for the CPU; these come straight from LLVM's memory model
(https://llvm.org/docs/Atomics.html). A release store makes everything written before it visible to
whoever sees the stored value through an acquire load: that pair is all a ring with one writer and
one reader needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numba.extending
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

# Numba's annotations cover a part of it, another part in each version.
_numba: Any = numba

_INT64 = ir.IntType(64)
_INT64_BYTES = 8
_BYTES = ir.IntType(8).as_pointer()


def _load_acquire(_typing: Any, _address: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], _INT64.as_pointer())
        return builder.load_atomic(pointer, "acquire", _INT64_BYTES)

    return types.int64(types.int64), generate


def _store_release(_typing: Any, _address: Any, _value: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], _INT64.as_pointer())
        builder.store_atomic(arguments[1], pointer, "release", _INT64_BYTES)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


def _copy_bytes(_typing: Any, _target: Any, _source: Any, _count: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        target, source = (builder.inttoptr(address, _BYTES) for address in arguments[:2])
        shape = ir.FunctionType(ir.VoidType(), [_BYTES, _BYTES, _INT64, ir.IntType(1)])
        memcpy = builder.module.declare_intrinsic("llvm.memcpy", [_BYTES, _BYTES, _INT64], shape)
        builder.call(memcpy, [target, source, arguments[2], ir.Constant(ir.IntType(1), 0)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _array_at(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Make an array over memory that it does not own. (Numba's carray takes a reference to it.)"""
    from numba.np import arrayobj  # late: what is kept on disk needs no part of the compiler

    array: Any = arrayobj
    kind = signature.return_type
    item = context.get_data_type(kind.dtype)
    itemsize = context.get_constant(types.intp, context.get_abi_sizeof(item))
    address, *shape = arguments
    strides = [itemsize]
    for size in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], size))
    view = array.make_array(kind)(context, builder)
    data = builder.inttoptr(address, item.as_pointer())
    array.populate_array(view, data, shape, strides, itemsize, meminfo=None)
    return view._getvalue()


def _int64_at(_typing: Any, _address: Any, _count: Any) -> Any:
    """The `count` int64 at an address, as an array `(count,)` that does not own them.

    For compiled code, such as a callback that gets a block of addresses as its user data.
    """
    return types.int64[::1](types.int64, types.int64), _array_at


def _float32_at(_typing: Any, _address: Any, _frames: Any, _channels: Any) -> Any:
    """Interleaved float32 samples at an address, as `(frames, channels)` that does not own them.

    For compiled code, such as a callback that gets the address of a device's buffer.
    """
    return types.float32[:, ::1](types.int64, types.int64, types.int64), _array_at


# For compiled code only. Addresses are int64; the counters' are aligned to 8 bytes.
load_acquire: Callable[[int], int] = _numba.extending.intrinsic(_load_acquire)
store_release: Callable[[int, int], None] = _numba.extending.intrinsic(_store_release)
copy_bytes: Callable[[int, int, int], None] = _numba.extending.intrinsic(_copy_bytes)
int64_at: Callable[[int, int], npt.NDArray[np.int64]] = _numba.extending.intrinsic(_int64_at)
float32_at: Callable[[int, int, int], npt.NDArray[np.float32]] = _numba.extending.intrinsic(
    _float32_at
)
