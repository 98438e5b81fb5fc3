"""Call the live callbacks as PortAudio would: by their C addresses, a block at a time."""

from __future__ import annotations

import ctypes

import numpy as np

from streamer.live.realtime.run_clock import RunClock

VIRTUAL = RunClock(np.zeros(1))
"""The time of the last call, for ports that were told to `use_clock` this one."""
_WORD = ctypes.c_ssize_t
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, _WORD, _WORD, ctypes.c_ulong, _WORD, ctypes.c_ulong, _WORD
)


def call(port, *, recorded=None, frames=None, channels=0, now=0.0, flags=0, times=None):
    """Give a port `recorded` `(frames, input channels)`, take `(frames, channels)` to play."""
    frames = len(recorded) if recorded is not None else frames
    device_in = None if recorded is None else np.ascontiguousarray(recorded, np.float32)
    device_out = np.full((frames, channels), np.nan, np.float32)
    VIRTUAL.virtual[0] = now
    times = np.array(times or (now - 0.01, now, now + 0.01))  # ADC, now, DAC
    result = _CALLBACK(port.callback_address)(
        0 if device_in is None else device_in.ctypes.data,
        device_out.ctypes.data if channels else 0,
        frames,
        times.ctypes.data,
        flags,
        port.address,
    )
    assert result == 0  # paContinue
    return device_out


def play(port, frames, **more):
    """Have a playback port fill a block."""
    return call(port, frames=frames, channels=port.outputs, **more)


def gains_of(port, **cells):
    """Both matrices of a port: `stem0_l=[...]`, `mix_r=[...]`, `dry_l=[...]` are rows, else 0."""
    rows = 2 * port.stems + 2
    gains, dry = np.zeros((rows, port.outputs), "f4"), np.zeros((2, port.outputs), "f4")
    for name, row in cells.items():
        source, side = name.split("_")
        channel = "lr".index(side)
        if source == "dry":
            dry[channel] = row
        else:
            gains[2 * (port.stems if source == "mix" else int(source[4:])) + channel] = row
    return gains, dry
