"""Two virtual devices with two clocks, which call the real callbacks on virtual time.

For tests and benchmarks of `drift`: an input whose sound is a pilot tone, an output that is
recorded now and then, and an engine that says that the stems are there. Hours pass in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from ringbuffer import float32_at, ring_end_at, ring_write_at
from ringbuffer.compiled import compiled
from streamer.audio import Samples
from streamer.live.realtime.callbacks import capture, capture_at, playback, playback_at
from streamer.live.realtime.counters import PlaybackCounters
from streamer.live.realtime.ports import CapturePort, PlaybackPort
from streamer.live.realtime.run_clock import RunClock

PILOT_SECONDS = 1
"""The pilot repeats after this, so it has whole hertz."""
_INT, _REAL, _VOID = types.int64, types.float64, types.void
_WORDS = types.int64[::1]
_NUMBERS = types.float64[::1]
_TABLE = types.float64[:, ::1]
_SAMPLES = types.float32[:, ::1]
_PPM, _BLOCK, _JITTER, _NEXT, _DUE, _COUNT, _STALL_FROM, _STALL_TO, _LOSES = range(9)
_ERROR, _RIPPLE, _RATIO, _BLOCKS, _LOWEST, _HIGHEST = range(6)
_BIN_COLUMNS = 6
_SECONDS, _RATE, _NOW, _PLAYED = range(4)
_INPUT, _OUTPUT, _ONES, _OUT = range(4)
_ONES_FRAMES = 256


@dataclass(frozen=True)
class VirtualClock:
    """One device: its speed, its blocks, and how late its callbacks come.

    It is `ppm` faster than nominal. Each callback is up to `jitter_seconds` late, evenly. In the
    `stall` (from, to; seconds) no callback comes: what was due comes in a burst after it, or, where
    the device `loses` it, never.
    """

    ppm: float = 0.0
    block_frames: int = 512
    jitter_seconds: float = 0.0
    stall: tuple[float, float] = (0.0, 0.0)
    loses: bool = False

    def _row(self) -> list[float]:
        return [self.ppm, self.block_frames, self.jitter_seconds, 0, 0, 0, *self.stall, self.loses]


@dataclass(frozen=True)
class TwoClocks:
    """The results: arrays with a row for each bin of time, and the recording.

    `error_frames` is the largest distance from the position that keeps the delay, on the true
    clocks. `ripple_ppm` is the largest error of the ratio between the clocks, `mean_ppm` the mean.
    `lowest` and `highest` are the frames in the dry ring when the output's callback began.
    `recorded` is `(windows, frames)` of the first output, `positions` the reported input position
    of each of its frames.
    """

    error_frames: NDArray[np.float64]
    ripple_ppm: NDArray[np.float64]
    mean_ppm: NDArray[np.float64]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    recorded: Samples
    positions: NDArray[np.float64]
    counters: PlaybackCounters
    lost_frames: int


def run_two_clocks(
    ports: tuple[CapturePort, PlaybackPort],
    clocks: tuple[VirtualClock, VirtualClock],
    seconds: float,
    *,
    pilot_hertz: int = 1000,
    windows: Sequence[float] = (),
    window_blocks: int = 96,
) -> TwoClocks:
    """Run an input of one channel and an output for some time; keep `windows` (starts, seconds)."""
    incoming, outgoing = ports
    rate = incoming.samplerate
    devices = np.array([clock._row() for clock in clocks], np.float64)
    # As long again as a block, so that each block lies in one piece.
    turn = np.arange(PILOT_SECONDS * rate + clocks[0].block_frames) / rate
    pilot = (0.5 * np.sin(2 * np.pi * pilot_hertz * turn)).astype(np.float32)[:, None]
    bins = np.zeros((int(seconds) + 1, _BIN_COLUMNS))
    bins[:, _LOWEST] = np.inf
    block_frames = clocks[1].block_frames
    starts = np.array([[*windows, np.inf]], np.float64)
    recorded = np.zeros((len(windows) + 1, window_blocks * block_frames), np.float32)
    steps = np.ones((len(windows) + 1, window_blocks * 3), np.float64)
    ones = np.ones((_ONES_FRAMES, 2 * outgoing.stems + 1), np.float32)
    out = np.zeros((block_frames, outgoing.outputs), np.float32)
    ports_and_samples = incoming.address, outgoing.address, ones.ctypes.data, out.ctypes.data
    addresses = np.array(ports_and_samples, np.int64)
    numbers = np.array([seconds, rate, 0.0, 0.0], np.float64)
    for port in ports:
        port.use_clock(RunClock(numbers[_NOW:]))
    _run(addresses, devices, pilot, bins, starts, recorded, steps, numbers)
    used = bins[bins[:, _BLOCKS] > 0]
    return TwoClocks(
        used[:, _ERROR],
        used[:, _RIPPLE],
        used[:, _RATIO] / used[:, _BLOCKS],
        used[:, _LOWEST],
        used[:, _HIGHEST],
        recorded[:-1],
        _positions(steps[:-1].reshape(-1, window_blocks, 3), block_frames),
        outgoing.counters(),
        incoming.counters().lost_frames,
    )


def _positions(steps: NDArray[np.float64], block_frames: int) -> NDArray[np.float64]:
    """Where each frame lies: `steps` are position, ratio before and ratio after each block."""
    position, before, after = (steps[:, :, column, None] for column in range(3))
    frame = np.arange(block_frames)
    ratio_sum = frame * before + (after - before) / block_frames * (frame * (frame + 1) / 2)
    whole: NDArray[np.float64] = (position + ratio_sum).reshape(
        len(steps), frame.size * steps.shape[1]
    )
    return whole


@compiled(_VOID(_TABLE, _INT, _REAL))
def _schedule(devices: Any, which: int, rate: float) -> None:
    """Set when the device's next callback comes."""
    device = devices[which]
    seconds = device[_BLOCK] / (rate * (1 + device[_PPM] * 1e-6))
    device[_DUE] += seconds
    if device[_STALL_FROM] <= device[_DUE] < device[_STALL_TO] and device[_LOSES]:
        device[_DUE] += np.ceil((device[_STALL_TO] - device[_DUE]) / seconds) * seconds
    came = device[_DUE] + device[_JITTER] * np.random.random()
    if device[_STALL_FROM] <= came < device[_STALL_TO]:
        came = device[_STALL_TO]
    device[_NEXT] = max(came, device[_NEXT] + 1e-5)


@compiled(_VOID(_INT, _INT, _INT))
def _say_stems_are_there(address: int, ones: int, until: int) -> None:
    """Write `wet` of 1, and stems of the same, until a position."""
    state = playback_at(address)[0]
    missing = until - ring_end_at(state.stem_header)
    while missing > 0:
        count = min(missing, _ONES_FRAMES)
        if ring_write_at(state.stem_header, state.stem_data, ones, count) < count:
            break
        missing -= count


@compiled(_VOID(_WORDS, _TABLE, _NUMBERS, _NUMBERS))
def _note(addresses: Any, devices: Any, row: Any, numbers: Any) -> None:
    """Note how far an output's callback at a position is from the true clocks."""
    played, rate = numbers[_PLAYED], numbers[_RATE]
    source = capture_at(addresses[_INPUT])[0]
    state = playback_at(addresses[_OUTPUT])[0]
    speed = rate * (1 + devices[0, _PPM] * 1e-6)
    true_ratio = (1 + devices[0, _PPM] * 1e-6) / (1 + devices[1, _PPM] * 1e-6)
    # The input block that would begin when the output's was due, had the devices no jitter.
    begun = source.position - (devices[0, _DUE] - devices[1, _DUE]) * speed
    row[_ERROR] = max(row[_ERROR], abs(begun - state.delay_frames - played))
    row[_RIPPLE] = max(row[_RIPPLE], abs(state.ratio / true_ratio - 1) * 1e6)
    row[_RATIO] += (state.ratio - 1) * 1e6
    row[_BLOCKS] += 1


@compiled(
    _VOID(
        _WORDS,
        _TABLE,
        _SAMPLES,
        _TABLE,
        _TABLE,
        _SAMPLES,
        _TABLE,
        _NUMBERS,
    )
)
def _run(
    addresses: Any,
    devices: Any,
    pilot: Any,
    bins: Any,
    starts: Any,
    recorded: Any,
    steps: Any,
    numbers: Any,
) -> None:
    """Run both callbacks. Many parameters: compiled code takes arrays, each of one type."""
    seconds, rate = numbers[_SECONDS], numbers[_RATE]
    np.random.seed(1)
    source = capture_at(addresses[_INPUT])[0]
    state = playback_at(addresses[_OUTPUT])[0]
    block = int(devices[1, _BLOCK])
    out = float32_at(addresses[_OUT], block, state.outputs)
    window = done = 0
    for which in range(2):
        _schedule(devices, which, rate)
    while min(devices[0, _NEXT], devices[1, _NEXT]) < seconds:
        if devices[0, _NEXT] <= devices[1, _NEXT]:
            frames = int(devices[0, _BLOCK])
            samples = pilot[source.position % (PILOT_SECONDS * int(rate)) :]
            now = devices[0, _NEXT]
            numbers[_NOW] = now
            capture(addresses[_INPUT], samples.ctypes.data, frames, now, now, 0)
            _say_stems_are_there(addresses[_OUTPUT], addresses[_ONES], source.position)
            _schedule(devices, 0, rate)
            continue
        now = devices[1, _NEXT]
        row = bins[int(now)]
        level = float(ring_end_at(state.dry_header) - state.position)
        row[_LOWEST], row[_HIGHEST] = min(row[_LOWEST], level), max(row[_HIGHEST], level)
        ratio, position = state.ratio, state.position + state.phase
        numbers[_NOW] = now
        playback(addresses[_OUTPUT], addresses[_OUT], block, now, now, 0)
        numbers[_PLAYED] = position
        _note(addresses, devices, row, numbers)
        if now >= starts[0, window]:
            for frame in range(block):
                recorded[window, done * block + frame] = out[frame, 0]
            steps[window, 3 * done + 1] = ratio
            steps[window, 3 * done + 2] = state.ratio
            steps[window, 3 * done] = position
            done += 1
            if done * block == recorded.shape[1]:
                window, done = window + 1, 0
        _schedule(devices, 1, rate)
