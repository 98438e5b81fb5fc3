"""Two devices, two clocks: the constants of the loops and the filter that make them play as one.

Each device's block times go through a delay-locked loop (F. Adriaensen, "Using a DLL to filter
time", 2005), with the two gains of a Kalman filter: they begin as a least-squares line
through the first blocks and settle where the clock's own wander is as large as what a block tells.
From the two lines follows which input frame is due when the output's block is called; a
proportional-integral controller makes the playback callback read there. Its integral part are the
two loops' periods, which need no second integrator and cannot wind up.

Between the input frames it reads with a windowed sinc (Kaiser), `TAPS` long, from a table of
`PHASES` fractions of a frame with straight lines between them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamer.audio import Samples
from streamer.live.realtime.callbacks import HALF_TAPS, PHASES, TAPS
from streamer.live.realtime.device_clock import DLL

KAISER_BETA = 9.0
"""Images of what lies 9% of the rate under the Nyquist frequency, or lower, are 90 dB down."""
FIRST_SPREAD_SECONDS = 1e-2
LEAST_SPREAD_SECONDS = 1e-3
"""How far off a block's time is taken to be: at first, and where it is less than what a busy system
shows. Otherwise it is measured. Blocks that are `OUTLIER` times as far off, as in a burst, count
for nothing."""
PERIOD_DEVIATION = 2e-4
"""How far a clock's rate may be from its nominal one before anything is known of it."""
WALK_DEVIATION = 1e-7
"""How far the rate of a clock wanders in a second. Sets the loops' bandwidth: 0.005 Hz."""
SETTLE_SECONDS = 0.25
"""How long both clocks are watched before anything is played from the middle of a stream."""
FILL_SECONDS = 0.25
"""How much an output may take at once when it begins, and is not held to be a clock for it."""
GEAR = 2.0
LEAST_GAIN = 0.03
MOST_GAIN = 1.0
"""The distance from the due position is made up at `GEAR` over the loops' age, per second, so that
the control gets as calm as the loops are sure; within these limits."""
MOST_CORRECTION = 5e-4
"""The most that the ratio may be off for that: a hundredth of a semitone."""
SURE_SECONDS = 2.0
"""How long both clocks are watched before what was aligned after `SETTLE_SECONDS` is looked at
again: an output that filled itself first has told a wrong time until then."""
EARLY_ERROR_SECONDS = 0.002
"""Farther away than this the position jumps then, once: to glide there would take a minute."""
MOST_EARLY_SECONDS = 10.0
"""A device whose clock is not known by then is never looked at again: nothing waits for it."""
MOST_ERROR_SECONDS = 0.05
"""Farther away than this, the position jumps (a splice, under a fade): a device lost frames."""
MOST_AHEAD = 0.125
"""Nor may it be ahead by more than this part of the delay, but for `EARLY_ERROR_SECONDS`: the stems
of a short delay would be late for the minute or more that it takes to glide back."""


def start_dll(dll: NDArray[np.void], samplerate: int) -> None:
    """Make a `device_clock.DLL`, or clear an old one: only the nominal rate is known."""
    dll[:] = np.zeros(1, DLL)
    dll["samplerate"] = samplerate
    dll["period"] = 1.0
    dll["period_variance"] = PERIOD_DEVIATION**2
    dll["walk_variance"] = WALK_DEVIATION**2
    dll["spread_seconds"] = FIRST_SPREAD_SECONDS
    dll["least_spread_seconds"] = LEAST_SPREAD_SECONDS


def filter_table() -> Samples:
    """Return the filter, `(PHASES + 1, TAPS)`: a row for each fraction of a frame, 0 and 1 too.

    Row k, tap j is what input frame ``j - (HALF_TAPS - 1)`` adds to the output at ``k / PHASES``.
    Each row sums to one, so that a constant stays one.
    """
    fractions = np.arange(PHASES + 1)[:, None] / PHASES
    distance = np.arange(TAPS)[None, :] - (HALF_TAPS - 1) - fractions
    inside = np.clip(1 - (distance / HALF_TAPS) ** 2, 0, None)
    taps = np.sinc(distance) * np.i0(KAISER_BETA * np.sqrt(inside)) / np.i0(KAISER_BETA)
    return np.ascontiguousarray(taps / taps.sum(axis=1, keepdims=True), np.float32)
