"""The cable on JACK that `realtime.py` plays through: another client of the server.

It plays a song into a run's ports, and keeps what comes out of them, and when. No interpreter is in
the way.
"""

from __future__ import annotations

import subprocess

import numpy as np
from numba import types

from ringbuffer import float32_at, int64_at
from ringbuffer.compiled import c_function
from streamer.live.devices.device import PortName, StreamRequest
from streamer.live.devices.jack import JackBackend
from streamer.live.realtime.callbacks import seconds_now
from streamer.live.realtime.port import address_of

HEARD = ("stems_L", "stems_R", "mix_L", "mix_R")
"""The channels of what is heard; only those on the left are connected."""
CHANNELS = len(HEARD)
_MONOTONIC = 1

_CABLE = np.dtype(
    [(name, np.int64) for name in ("song", "frames", "heard", "woke", "most", "done")]
)
_CABLE_WORDS = _CABLE.itemsize // 8
_INT = types.int64


@c_function(types.int32(_INT, _INT, _INT, _INT, _INT, _INT))
def _cable_callback(taken, played, frames, _time_info, _flags, user_data):
    """PaStreamCallback: play the song on, and keep what comes in and when."""
    state = int64_at(user_data, _CABLE_WORDS).view(_CABLE)[0]
    words = int64_at(state.woke + 8 * state.most, 2)
    number = state.done
    song = float32_at(state.song, state.frames, 2)
    out = float32_at(played, frames, 2)
    for frame in range(frames):
        at = (number * frames + frame) % state.frames
        out[frame, 0] = song[at, 0]
        out[frame, 1] = song[at, 1]
    if number < state.most:
        heard = float32_at(state.heard + 4 * CHANNELS * number * frames, frames, CHANNELS)
        came = float32_at(taken, frames, CHANNELS)
        for frame in range(frames):
            for channel in range(CHANNELS):
                heard[frame, channel] = came[frame, channel]
        times = int64_at(state.woke, state.most).view(np.float64)
        times[number] = seconds_now(words.ctypes.data, _MONOTONIC, 0)
        state.done += 1
    return 0


class JackCable:
    """A client of the JACK server that runs, between the song and a run's ports.

    Such a loop takes a block more than the run's own delay.
    """

    def __init__(self, song, callbacks: int) -> None:
        backend = JackBackend("cable", connect=False)
        (device,) = backend.devices()
        block, rate = device.block_frames, device.samplerate
        self.heard, self._woke = _room(callbacks * block, CHANNELS), _room(callbacks + 2)
        self.woke = self._woke[:callbacks]  # then two words for the clock
        self._state = np.zeros(1, _CABLE)
        values = address_of(song), len(song), address_of(self.heard), address_of(self._woke)
        self._state[:] = [(*values, callbacks, 0)]
        self._song = song
        request = StreamRequest(
            *(device, device, CHANNELS, 2, rate, block, "low"),
            *(_cable_callback.address, address_of(self._state)),
            owner=self,
            input_ports=tuple(PortName(name, 1) for name in HEARD),
            output_ports=(PortName("song_L", 1), PortName("song_R", 1)),
        )
        self._stream = backend.open(request)

    def plug(self, client: str, stems) -> None:
        """Begin to play, and connect the run's ports."""
        self._stream.start()
        for side in "LR":
            _connect(f"cable:song_{side}", f"{client}:in_{side}")
        for stem in stems:
            _connect(f"{client}:{stem}_L", "cable:stems_L")
        _connect(f"{client}:mix_L", "cable:mix_L")

    @property
    def done(self) -> int:
        return int(self._state["done"][0])

    def close(self) -> None:
        self._stream.close()


def _connect(source: str, target: str) -> None:
    subprocess.run(["jack_connect", source, target], check=True, stdout=subprocess.DEVNULL)


def _room(*shape: int):
    """Zeros whose memory is there already, so that no callback waits for it."""
    made = np.empty(shape, np.float64 if len(shape) == 1 else np.float32)
    made.fill(0)
    return made
