"""The sample rates on both sides of the native engine: from the devices' rate to the model's, and
from the model's back to the devices'.

::

    there = conversion(48000, 44100, channels=2, most_frames=1024)
    frames_made(there, 4800)         # how many frames 4800 make
    frames_needed(there, 512)        # how many it takes for 512
    take(there, fresh, frames)       # the next frames that go in
    make(there, end, first, out, count)

A conversion is a polyphase filter. Frame k of what comes out lies at ``k * down / up`` of what goes
in, exactly, however long the stream is. The filters are symmetric (linear phase), so they move
nothing: a frame can be made as soon as `ahead` frames past it are there, and that is all the delay.
Between equal rates a frame is made of one alone, with one tap of 1.

The compiled functions take no memory; `hop_loop` calls them.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringbuffer.compiled import compiled
from streamer.audio import Samples

AHEAD_SECONDS: Final = 0.0008
"""How far ahead a filter looks, and how far back: half its length. There and back make 1.6 ms."""
PASS_SHARE: Final = 20000 / 22050
"""Up to this share of the lower rate's half the filters are flat. What they fold lands above it."""
LEAST_RATE: Final = 32000
"""Filters so short reject too little between the bands of lower rates; here it is 77 dB."""
MOST_PHASES: Final = 640
"""How many rows a filter may have: as many as 192 kHz from 44.1 kHz takes."""
_LANES: Final = 16
"""Rows are filled up to a multiple of this, which compiled code takes in strides."""


class Conversion(NamedTuple):
    """A filter from one rate to another, and what it has heard of one stream."""

    rows: Samples  # (up, taps): row p makes a frame that lies p / up past one that went in
    held: Samples  # (channels, taps + most frames): the last that went in, channel by channel
    up: int
    down: int
    ahead: int  # how many frames past the one at which it lies a frame is made of


def can_convert(one_rate: int, other_rate: int) -> bool:
    """Return whether there is a filter between two rates in Hz, both ways."""
    common = math.gcd(one_rate, other_rate)
    rates = one_rate, other_rate
    return one_rate == other_rate or (
        min(rates) >= LEAST_RATE and max(rates) // common <= MOST_PHASES
    )


def frames_ahead(from_rate: int, to_rate: int) -> int:
    """Return how far ahead the filter between two rates looks, in frames that go in."""
    return 0 if from_rate == to_rate else round(AHEAD_SECONDS * from_rate)


def conversion(from_rate: int, to_rate: int, channels: int, most_frames: int) -> Conversion:
    """Make a filter between two rates in Hz, and room for the most frames that go in at a time."""
    common = math.gcd(from_rate, to_rate)
    up, down = to_rate // common, from_rate // common
    rows = filter_rows(from_rate, to_rate)
    held = np.empty((channels, rows.shape[1] + most_frames), np.float32)
    held.fill(0.0)  # touched now, not in the loop
    return Conversion(rows, held, up, down, frames_ahead(from_rate, to_rate))


def filter_rows(from_rate: int, to_rate: int) -> Samples:
    """Return ``(up, taps)``: a windowed sinc, cut off at the lower rate's half.

    The window is Kaiser's, as narrow in frequency as its length allows for the band between pass
    and stop (J. F. Kaiser, 1974). Each row sums to 1.
    """
    ahead = frames_ahead(from_rate, to_rate)
    if not ahead:
        return np.ones((1, 1), np.float32)
    up = to_rate // math.gcd(from_rate, to_rate)
    taps = -(-2 * ahead // _LANES) * _LANES
    tap = np.arange(ahead - taps + 1, ahead + 1)
    at = tap - np.arange(up)[:, np.newaxis] / up  # in frames that go in
    lower_rate = min(from_rate, to_rate)
    band_hertz = (1 - PASS_SHARE) * lower_rate
    decibels = 8 + 2.285 * 2 * np.pi * band_hertz / from_rate * 2 * ahead
    window = _kaiser(at / ahead, 0.1102 * (decibels - 8.7))
    rows = np.sinc(at * lower_rate / from_rate) * window
    made: Samples = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
    return made


def _kaiser(at: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    inside = np.abs(at) <= 1
    return np.where(inside, np.i0(beta * np.sqrt(np.clip(1 - at * at, 0, 1))) / np.i0(beta), 0)


@compiled()
def frames_made(c: Conversion, frames: int) -> int:
    """How many frames can be made of what has gone in."""
    return max(-((c.ahead - frames) * c.up // c.down), 0)


@compiled()
def frames_needed(c: Conversion, frames: int) -> int:
    """How many must have gone in before this many can be made."""
    return (frames - 1) * c.down // c.up + c.ahead + 1 if frames > 0 else 0


@compiled()
def take(c: Conversion, fresh: Samples, frames: int) -> None:
    """Let the next frames in, ``(frames, channels)``."""
    channels, width = c.held.shape
    for channel in range(channels):
        held = c.held[channel]
        for column in range(width - frames):
            held[column] = held[column + frames]
        for frame in range(frames):
            held[width - frames + frame] = fresh[frame, channel]


@compiled(any_order=True)
def make(c: Conversion, end: int, first: int, out: Samples, count: int) -> None:
    """Make the frames from ``first`` on, ``(count, channels)``; ``end`` frames have gone in."""
    (channels, width), taps = c.held.shape, c.rows.shape[1]
    for frame in range(count):
        at = (first + frame) * c.down
        row = c.rows[at % c.up]
        newest = at // c.up + c.ahead + 1
        begin = width - (end - newest) - taps
        for channel in range(channels):
            held = c.held[channel, begin : begin + taps]
            total = np.float32(0.0)
            for tap in range(taps):
                total += row[tap] * held[tap]
            out[frame, channel] = total
