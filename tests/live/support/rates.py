"""The native engine's filters between two rates, in plain numpy."""

from __future__ import annotations

import math

import numpy as np

from streamer.audio import Samples
from streamer.live.realtime.hop_resampler import filter_rows, frames_ahead


def converted(signal: Samples, from_rate: int, to_rate: int) -> Samples:
    """Return ``(frames, channels)``: all frames that have what their filter looks ahead."""
    rows, ahead = filter_rows(from_rate, to_rate), frames_ahead(from_rate, to_rate)
    common = math.gcd(from_rate, to_rate)
    up, down = to_rate // common, from_rate // common
    at = np.arange(-((ahead - len(signal)) * up // down)) * down
    taps = rows.shape[1]
    known = np.concatenate([np.zeros((taps - 1 - ahead, signal.shape[1])), signal])
    made = np.zeros((len(at), signal.shape[1]))
    for tap in range(taps):
        made += rows[at % up, tap, np.newaxis] * known[at // up + tap]
    return made.astype("f4")
