"""Numba's loops that the native network is made of: products, activations, a Fourier transform.

Compiled code only: no allocation, no lock, no Python object, so that a real-time thread may call
it. All arrays are float32, and their rows are contiguous. The loops are written so that LLVM puts
them into vector instructions.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ringbuffer.compiled import compiled
from streamer.audio import Samples
from streamer.models.backends.native_tiles import LANES, TALL, WIDE, narrow, single, tall, wide
from streamer.models.backends.native_weights import Matrices

_NORM_EPSILON: Final = np.float32(1e-5)  # torch.nn.LayerNorm's

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_LOWEST, _HIGHEST = np.float32(-64), np.float32(64)
_LOG2_E = np.float32(1.4426950408889634)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_EXP_0, _EXP_1, _EXP_2, _EXP_3, _EXP_4, _EXP_5 = (
    np.float32(value)
    for value in (
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    )
)
_SILENT = np.float32(1e-18)
_BIAS, _MANTISSA_BITS = np.int32(127), np.int32(23)


@compiled()
def exp(x: Any) -> Any:
    """Return e to the power of a float32 between -64 and 64 (Moshier, Cephes ``expf``).

    It is within 1e-7 of itself. Unlike the C library's it can be computed for many numbers at a
    time. Beyond 64 it stays what it is there, so that nothing becomes infinite or almost 0.
    """
    x = min(max(x, _LOWEST), _HIGHEST)
    n = np.floor(x * _LOG2_E + _HALF)
    rest = x - n * _LN2_HIGH
    rest = rest - n * _LN2_LOW
    value = _EXP_0
    value = value * rest + _EXP_1
    value = value * rest + _EXP_2
    value = value * rest + _EXP_3
    value = value * rest + _EXP_4
    value = value * rest + _EXP_5
    value = value * rest * rest + rest + _ONE
    return value * np.int32((np.int32(n) + _BIAS) << _MANTISSA_BITS).view(np.float32)


@compiled(any_order=True, inlined=True)
def audible(x: Any) -> Any:
    """Return a float32, or 0 where it is almost that: processors take long over denormal ones."""
    return _ZERO if abs(x) < _SILENT else x


@compiled(any_order=True)
def norm(x: Samples, weights: Samples, out: Samples) -> None:
    """Write the layer norm of each row of ``(rows, width)``; weight and bias are ``(2, width)``."""
    rows, width = x.shape
    for row in range(rows):
        mean = square = _ZERO
        for column in range(width):
            mean += x[row, column]
        mean /= np.float32(width)
        for column in range(width):
            square += (x[row, column] - mean) ** 2
        scale = _ONE / np.sqrt(square / np.float32(width) + _NORM_EPSILON)
        for column in range(width):
            out[row, column] = (x[row, column] - mean) * scale * weights[0, column] + weights[
                1, column
            ]


@compiled(any_order=True)
def product(x: Samples, weight: Matrices, bias: Samples, out: Samples) -> None:
    """Write ``x @ weight + bias``: of ``(rows, inputs)`` and ``(inputs, outputs)``.

    ``weight`` is float32, or uint16 for float16. ``out`` may have more columns. The last tiles
    overlap those before; they write the same again.
    """
    rows, columns = x.shape[0], weight.shape[1]
    if columns < LANES:
        for row in range(rows):
            for column in range(columns):
                single(x, weight, bias, out, row, column)
    elif rows >= TALL:
        for column in range(0, columns, LANES):
            for row in range(0, rows, TALL):
                tall(x, weight, bias, out, min(row, rows - TALL), min(column, columns - LANES))
    else:
        for row in range(rows):
            done = 0
            while columns - done >= WIDE:
                wide(x, weight, bias, out, row, done)
                done += WIDE
            for column in range(done, columns, LANES):
                narrow(x, weight, bias, out, row, min(column, columns - LANES))


@compiled(any_order=True)
def gate(values: Samples, gates: Samples, first: int, out: Samples) -> None:
    """Write ``values * silu(gates)``: both from column 0 on, but gates from ``first`` on."""
    rows, width = out.shape
    for row in range(rows):
        for column in range(width):
            g = gates[row, first + column]
            out[row, column] = values[row, column] * (g / (_ONE + exp(-g)))


@compiled(any_order=True)
def fourier(
    real: Samples,
    imaginary: Samples,
    spare: tuple[Samples, Samples],
    turns: tuple[Samples, Samples],
) -> None:
    """Transform ``real + i imaginary`` in place: Stockham's, in fours, self-sorting.

    ``spare`` are two arrays as long, which is a power of two. ``turns`` are cosine and sine of
    ``-2 pi k / length``. With the two arrays exchanged it is the inverse, times the length
    (Swarztrauber, "FFT algorithms for vector computers", 1984).
    """
    length = real.size
    here_r, here_i, there_r, there_i = real, imaginary, spare[0], spare[1]
    rest, done, swaps = length, 1, 0
    while rest > 2:
        _four(here_r, here_i, there_r, there_i, turns, rest, done)
        here_r, here_i, there_r, there_i = there_r, there_i, here_r, here_i
        rest, done, swaps = rest // 4, done * 4, swaps + 1
    if rest == 2:
        for at in range(done):
            other = at + done
            a_r, a_i, b_r, b_i = here_r[at], here_i[at], here_r[other], here_i[other]
            there_r[at], there_i[at] = a_r + b_r, a_i + b_i
            there_r[other], there_i[other] = a_r - b_r, a_i - b_i
        swaps += 1
    if swaps % 2:
        for at in range(length):
            real[at], imaginary[at] = spare[0][at], spare[1][at]


@compiled(any_order=True)
def _four(
    x_r: Samples,
    x_i: Samples,
    y_r: Samples,
    y_i: Samples,
    turns: tuple[Samples, Samples],
    rest: int,
    done: int,
) -> None:
    """One pass of `fourier`: transforms of ``rest`` points become four times as many of a quarter.

    ``x`` is read and ``y`` written, ``done`` transforms lie beside each other.
    """
    cosine, sine = turns
    quarter, step = rest // 4, cosine.size // rest
    for point in range(quarter):
        turn = point * step
        c1, s1 = cosine[turn], sine[turn]
        c2, s2 = cosine[2 * turn], sine[2 * turn]
        c3, s3 = cosine[3 * turn], sine[3 * turn]
        for one in range(done):
            at = one + done * point
            a_r, a_i = x_r[at], x_i[at]
            b_r, b_i = x_r[at + done * quarter], x_i[at + done * quarter]
            c_r, c_i = x_r[at + 2 * done * quarter], x_i[at + 2 * done * quarter]
            d_r, d_i = x_r[at + 3 * done * quarter], x_i[at + 3 * done * quarter]
            sum_r, sum_i, gap_r, gap_i = a_r + c_r, a_i + c_i, a_r - c_r, a_i - c_i
            odd_r, odd_i, side_r, side_i = b_r + d_r, b_i + d_i, d_i - b_i, b_r - d_r
            to = one + 4 * done * point
            y_r[to], y_i[to] = sum_r + odd_r, sum_i + odd_i
            r, i = gap_r - side_r, gap_i - side_i
            y_r[to + done], y_i[to + done] = c1 * r - s1 * i, c1 * i + s1 * r
            r, i = sum_r - odd_r, sum_i - odd_i
            y_r[to + 2 * done], y_i[to + 2 * done] = c2 * r - s2 * i, c2 * i + s2 * r
            r, i = gap_r + side_r, gap_i + side_i
            y_r[to + 3 * done], y_i[to + 3 * done] = c3 * r - s3 * i, c3 * i + s3 * r
