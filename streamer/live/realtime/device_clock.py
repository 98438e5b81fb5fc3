# REAL-TIME CODE: the rules at the top of `callbacks` hold here, too.
"""The clock of a device: a delay-locked loop over the times of its blocks.

Frames are the device's; times are seconds of the run's clock. One thread updates a loop, and others
look at it. The numbers it goes by are in `drift`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from ringbuffer import int64_at
from ringbuffer.atomics import load_acquire, store_release
from ringbuffer.compiled import compiled

OUTLIER = 5.0
"""A block this many times as far off as two blocks are on average tells nothing of the clock."""
SPREAD_BLOCKS = 512
"""Over how many blocks that average goes."""


_WORD, _NUMBER = np.int64, np.float64  # every field takes eight bytes

DLL = np.dtype(
    [
        ("frame", _WORD),  # the first frame of the last block
        ("last_frames", _WORD),  # how many frames that block has
        ("blocks", _WORD),  # how many blocks were taken in since the loop was started
        ("sequence", _WORD),  # how often values were shown to the other thread
        ("samplerate", _NUMBER),  # nominal, in Hz
        ("time", _NUMBER),  # filtered time of the last block, in seconds
        ("period", _NUMBER),  # seconds that one nominal second of the device takes
        ("time_variance", _NUMBER),  # how unsure `time` is: this and two more are a Kalman filter's
        ("covariance", _NUMBER),  # of `time` and `period`
        ("period_variance", _NUMBER),  # how unsure `period` is
        ("age_seconds", _NUMBER),  # for how long `time` was filtered without a new start
        ("outside_seconds", _NUMBER),  # for how long all blocks were outliers
        ("last_time", _NUMBER),  # when the last block was called, unfiltered
        ("walk_variance", _NUMBER),  # what a second adds to `period_variance`
        ("spread_seconds", _NUMBER),  # how far off two blocks are on average
        ("least_spread_seconds", _NUMBER),  # what `spread_seconds` never goes below
        ("shown_time", _NUMBER),  # what the other thread reads, slot 0: `time`
        ("shown_frame", _NUMBER),  # `frame`
        ("shown_period", _NUMBER),  # `period`
        ("shown_age", _NUMBER),  # `age_seconds`
        ("shown_time_2", _NUMBER),  # slot 1: the same
        ("shown_frame_2", _NUMBER),
        ("shown_period_2", _NUMBER),
        ("shown_age_2", _NUMBER),
    ]
)
"""A delay-locked loop over the times of a device's blocks. Of the two shown slots, the last written
is number `sequence % 2`."""

_DLL_WORDS = DLL.itemsize // 8
_SEQUENCE, _SHOWN = (8 * (DLL.names or ()).index(name) for name in ("sequence", "shown_time"))
SHOWN_WORDS = 4
"""What `dll_look` copies: time, frame, period and age."""
_INT, _REAL, _VOID = types.int64, types.float64, types.void


@compiled(inlined=True)
def dll_at(address: int) -> Any:
    """The `DLL` at an address, as an array of one."""
    return int64_at(address, _DLL_WORDS).view(DLL)


@compiled(_VOID(_INT, _REAL, _REAL, _REAL), inside=True)
def _dll_correct(address: int, step: float, expected: float, error: float) -> None:
    dll = dll_at(address)[0]
    dll.time_variance += step * (2 * dll.covariance + step * dll.period_variance)
    dll.covariance += step * dll.period_variance
    dll.period_variance += step * dll.walk_variance
    whole = dll.time_variance + dll.spread_seconds * dll.spread_seconds
    time_gain = dll.time_variance / whole
    period_gain = dll.covariance / whole
    dll.time = expected + time_gain * error
    dll.period += period_gain * error
    dll.time_variance *= 1 - time_gain
    dll.period_variance -= period_gain * dll.covariance
    dll.covariance *= 1 - time_gain


@compiled(_VOID(_INT), inside=True)
def _dll_show(address: int) -> None:
    dll = dll_at(address)[0]
    sequence = dll.sequence + 1
    slot = address + _SHOWN + sequence % 2 * (8 * SHOWN_WORDS)
    shown = int64_at(slot, SHOWN_WORDS).view(np.float64)
    shown[0] = dll.time
    shown[1] = dll.frame
    shown[2] = dll.period
    shown[3] = dll.age_seconds
    store_release(address + _SEQUENCE, sequence)


@compiled(_VOID(_INT, _REAL, _INT, _INT), inside=True)
def dll_update(address: int, now: float, frame: int, frames: int) -> None:
    """Take in that the block of `frames` frames that begins with `frame` was called at `now`."""
    dll = dll_at(address)[0]
    step = dll.last_frames / dll.samplerate
    dll.last_frames = frames
    dll.blocks += 1
    dll.age_seconds += step
    expected = dll.time + step * dll.period
    error = now - expected
    gate = OUTLIER * dll.spread_seconds
    weight = 1.0 / min(dll.blocks + 1, SPREAD_BLOCKS)
    off = abs(now - dll.last_time - step)
    dll.last_time = now
    if dll.blocks > 1:
        dll.spread_seconds += weight * (min(off, gate) - dll.spread_seconds)
    dll.spread_seconds = max(dll.spread_seconds, dll.least_spread_seconds)
    inside = abs(error) <= gate
    dll.outside_seconds = 0.0 if inside else dll.outside_seconds + step
    if dll.blocks == 1 or dll.outside_seconds > min(1.0, 0.1 + 0.5 * dll.age_seconds):
        # The first block; or frames were lost, or the clock was set: its rate holds, its time not.
        dll.time = now
        dll.time_variance = gate * gate
        dll.covariance = 0.0
        dll.outside_seconds = 0.0
        dll.age_seconds = 0.0
    elif inside:
        _dll_correct(address, step, expected, error)
    else:
        dll.time = expected
    dll.frame = frame
    _dll_show(address)


@compiled(types.boolean(_INT, _INT))
def dll_look(address: int, into: int) -> bool:
    """Copy time, frame, period and age (float64) of a loop from another thread to `into`.

    False where there is nothing yet, or the loop moved on again and again while it was copied.
    """
    words = int64_at(into, SHOWN_WORDS)
    for _attempt in range(4):
        sequence = load_acquire(address + _SEQUENCE)
        slot = address + _SHOWN + sequence % 2 * (8 * SHOWN_WORDS)
        for word in range(SHOWN_WORDS):
            words[word] = load_acquire(slot + 8 * word)
        if load_acquire(address + _SEQUENCE) == sequence:
            return bool(sequence > 0)
    return False
