"""Frames to spectra and back, in compiled code: two real signals at a time, as one complex one.

The one is its real part, the other its imaginary part. Of the spectrum of such a signal the even
part is the one's, and the odd part the other's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ringbuffer.compiled import compiled
from streamer.audio import Samples
from streamer.models.backends.native_kernels import audible, fourier
from streamer.models.backends.native_state import Workspace

_ZERO, _HALF = np.float32(0), np.float32(0.5)


@compiled(any_order=True)
def hear(heard: Samples, frames: Samples) -> None:
    """Put ``(frames, channels)`` behind what was heard, ``(channels, kept)``."""
    (channels, kept), new = heard.shape, frames.shape[0]
    for channel in range(channels):
        for at in range(kept - new):
            heard[channel, at] = heard[channel, at + new]
        for at in range(new):
            heard[channel, kept - new + at] = audible(frames[at, channel])


@compiled(any_order=True)
def analyse(
    heard: Samples, window: Samples, turns: tuple[Samples, Samples], room: Workspace
) -> None:
    """Write the spectrum of the last frames of ``(channels, frames)`` to ``room.spectrum``.

    It has ``window.size // 2 + 1`` bins, ``(bins, channels * 2)``; ``turns`` are of that size.
    """
    (channels, kept), size = heard.shape, window.size
    for first in range(0, channels, 2):
        second = min(first + 1, channels - 1)
        for at in range(size):
            room.real[at] = heard[first, kept - size + at] * window[at]
            room.imaginary[at] = heard[second, kept - size + at] * window[at]
        transform(room, turns)
        for k in range(size // 2 + 1):
            a, b, c, d = parted(room, k, size)
            room.spectrum[k, 2 * first] = audible(a)
            room.spectrum[k, 2 * first + 1] = audible(b)
            if second > first:
                room.spectrum[k, 2 * second] = audible(c)
                room.spectrum[k, 2 * second + 1] = audible(d)


@compiled(any_order=True)
def transform(room: Workspace, turns: tuple[Samples, Samples]) -> None:
    """Transform ``room.real`` and ``room.imaginary``, as many frames of them as ``turns`` has."""
    size = turns[0].size
    spare = room.spare[0][:size], room.spare[1][:size]
    fourier(room.real[:size], room.imaginary[:size], spare, turns)


@compiled(any_order=True)
def transform_back(room: Workspace, turns: tuple[Samples, Samples]) -> None:
    """Undo `transform`, but for a factor: that many frames."""
    size = turns[0].size
    spare = room.spare[0][:size], room.spare[1][:size]
    fourier(room.imaginary[:size], room.real[:size], spare, turns)


@compiled(any_order=True, inlined=True)
def parted(room: Workspace, k: int, size: int) -> tuple[float, float, float, float]:
    """Return bin k of one signal, real and imaginary part, and of the other."""
    mirror = (size - k) % size
    a, b = room.real[k], room.imaginary[k]
    c, d = room.real[mirror], room.imaginary[mirror]
    return _HALF * (a + c), _HALF * (b - d), _HALF * (b + d), _HALF * (c - a)


@compiled(any_order=True, inlined=True)
def join(room: Workspace, k: int, size: int, a: Any, b: Any, c: Any, d: Any) -> None:
    """Write bin k of one signal, ``a + i b``, and of another, ``c + i d``, and what mirrors it."""
    if k in (0, size // 2):  # of a real signal these are real
        b = d = _ZERO
    room.real[k], room.imaginary[k] = a - d, b + c
    if 0 < k < size // 2:
        room.real[size - k], room.imaginary[size - k] = a + d, c - b
