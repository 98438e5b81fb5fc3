"""`ringbuffer.pointers`: a call through an address is the call, and copies no machine code."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from ringbuffer.compiled import compiled
from ringbuffer.pointers import call_at, code_address


@compiled()
def scaled(values, by):
    total = 0.0
    for at in range(values.size):
        values[at] *= by
        total += values[at]
    return total


@compiled()
def refuses(values):
    if values.size > 1:
        raise ValueError("one value, no more")


@compiled()
def through_scaled(address, values, by):
    return call_at(scaled, address, (values, by))


@compiled()
def through_refuses(address, values):
    call_at(refuses, address, (values,))


def test_a_call_through_an_address_is_that_call():
    values = np.arange(4.0)
    address = code_address(scaled, values, 2.0)
    assert through_scaled(address, values, 2.0) == 12
    np.testing.assert_array_equal(values, [0, 2, 4, 6])


def test_what_is_called_through_an_address_is_not_in_the_callers_code():
    values = np.arange(4.0)
    again = njit(nogil=True, _nrt=False)(through_scaled.py_func)  # kept code cannot be inspected
    again(code_address(scaled, values, 2.0), values, 2.0)
    (made,) = scaled.overloads.values()
    (code,) = again.inspect_asm().values()
    assert made.fndesc.llvm_func_name not in code


def test_what_it_raises_comes_through():
    values = np.arange(2.0)
    with pytest.raises(ValueError, match="one value, no more"):
        through_refuses(code_address(refuses, values), values)
