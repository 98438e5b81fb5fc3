"""A native callback for tests: keeps what it captures, plays a ramp to know each sample by."""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from ringbuffer import float32_at, int64_at
from streamer.audio import Samples
from streamer.live.devices.device import Device, StreamRequest

CALLS, FRAMES, FLAGS, RESULT, INPUTS, OUTPUTS, KEPT, TIMES, CAPACITY = range(9)
STEPS = 4096  # of the ramp; with up to 8 channels each value is exact and below full scale

_SIGNATURE = types.int32(
    types.uintp, types.uintp, types.uintp, types.uintp, types.uintp, types.uintp
)


@numba.cfunc(_SIGNATURE)
def count(captured, played, frames, times, flags, state_address):
    """PaStreamCallback, over addresses."""
    state = int64_at(types.int64(state_address), 9)
    done = state[FRAMES]
    frames = types.int64(frames)
    state[FLAGS] |= types.int64(flags)
    if done + frames <= state[CAPACITY]:
        if captured != 0:
            source = float32_at(types.int64(captured), frames, state[INPUTS])
            kept = float32_at(state[KEPT], state[CAPACITY], state[INPUTS])
            kept[done : done + frames] = source
        if times != 0 and state[CALLS] < state[CAPACITY]:
            words, log = (
                int64_at(types.int64(times), 3),
                int64_at(state[TIMES], 3 * state[CAPACITY]),
            )
            log[3 * state[CALLS] : 3 * state[CALLS] + 3] = words
    if played != 0:
        out = float32_at(types.int64(played), frames, state[OUTPUTS])
        for frame in range(frames):
            for channel in range(state[OUTPUTS]):
                out[frame, channel] = ((done + frame) % STEPS * 8 + channel + 1) / (STEPS * 16)
    state[FRAMES] = done + frames
    state[CALLS] += 1
    return types.int32(state[RESULT])


class Counter:
    """The callback's state, and what it has seen."""

    def __init__(self, inputs: int = 0, outputs: int = 0, capacity_frames: int = 1 << 16) -> None:
        self._kept = np.zeros((capacity_frames, max(1, inputs)), np.float32)
        self._times = np.zeros((capacity_frames, 3))
        self.state = np.zeros(9, np.int64)
        self.state[INPUTS : CAPACITY + 1] = (
            inputs,
            outputs,
            self._kept.ctypes.data,
            self._times.ctypes.data,
            capacity_frames,
        )

    @property
    def calls(self) -> int:
        """How often it was called."""
        return int(self.state[CALLS])

    @property
    def frames(self) -> int:
        """How many frames it got or gave."""
        return int(self.state[FRAMES])

    @property
    def flags(self) -> int:
        """PortAudio's flags, any that ever was."""
        return int(self.state[FLAGS])

    @property
    def captured(self) -> Samples:
        """What it got."""
        return self._kept[: self.frames]

    @property
    def times(self) -> np.ndarray:
        """Input ADC, current and output DAC time of each call."""
        return self._times[: self.calls]

    def request(
        self,
        source: Device | None = None,
        target: Device | None = None,
        *,
        samplerate: int = 48000,
        blocksize: int = 256,
        latency: float = 0.02,
    ) -> StreamRequest:
        """A stream that calls it."""
        return StreamRequest(
            input=source,
            output=target,
            input_channels=int(self.state[INPUTS]),
            output_channels=int(self.state[OUTPUTS]),
            samplerate=samplerate,
            blocksize=blocksize,
            latency=latency,
            callback_address=count.address,
            state_address=self.state.ctypes.data,
            owner=self,
        )


def ramp(start_frame: int, frames: int, channels: int) -> Samples:
    """What the callback plays."""
    steps = np.arange(start_frame, start_frame + frames) % STEPS * 8
    return ((steps[:, None] + np.arange(channels) + 1) / (STEPS * 16)).astype(np.float32)
