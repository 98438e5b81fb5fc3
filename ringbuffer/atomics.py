"""Acquire loads and release stores for Numba.

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

from ringbuffer.compiled import compiled

# Numba's annotations cover a part of it, another part in each version.
_numba: Any = numba
carray: Any = _numba.carray

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


def _as_pointer(_typing: Any, _address: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], _BYTES)

    return types.voidptr(types.int64), generate


# For compiled code only. Addresses are int64; the counters' are aligned to 8 bytes.
load_acquire: Callable[[int], int] = _numba.extending.intrinsic(_load_acquire)
store_release: Callable[[int, int], None] = _numba.extending.intrinsic(_store_release)
copy_bytes: Callable[[int, int, int], None] = _numba.extending.intrinsic(_copy_bytes)
_pointer: Callable[[int], Any] = _numba.extending.intrinsic(_as_pointer)


@compiled(types.int64[::1](types.int64, types.int64), inside=True)
def int64_at(address: int, count: int) -> npt.NDArray[np.int64]:
    """The `count` int64 at an address, as an array `(count,)` that does not own them.

    For compiled code, such as a callback that gets a block of addresses as its user data.
    """
    view: npt.NDArray[np.int64] = carray(_pointer(address), (count,), np.int64)
    return view


@compiled(types.float32[:, ::1](types.int64, types.int64, types.int64), inside=True)
def float32_at(address: int, frames: int, channels: int) -> npt.NDArray[np.float32]:
    """Interleaved float32 samples at an address, as `(frames, channels)` that does not own them.

    For compiled code, such as a callback that gets the address of a device's buffer.
    """
    view: npt.NDArray[np.float32] = carray(_pointer(address), (frames, channels), np.float32)
    return view
