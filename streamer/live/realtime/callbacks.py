# ┌────────────────────────────────────────────────────────────────────────────────────────────┐
# │ REAL-TIME CODE. All that a device calls stands here, in `device_clock` and, for JACK, in   │
# │ `jack_callbacks`.                                                                          │
# │                                                                                            │
# │ A sound device calls these functions on a thread of its own, and each must be done before  │
# │ the device's next block is due. So in here:                                                │
# │   - nothing is allocated or freed: every buffer was made, and touched, by `ports`;         │
# │   - no lock is taken and nobody is waited for: who wants to know polls, but for the thread │
# │     of the hops, which `sem_post` wakes, since that never waits;                           │
# │   - no Python object is touched: all is compiled ahead, and runs without the GIL;          │
# │   - no file, no log, no print, no exception: what goes wrong is a counter;                 │
# │   - work for a block depends on its frames alone, not on how late somebody is;             │
# │   - imports are ringbuffer, numpy, numba and its code generator, llvmlite.                 │
# │ tests/live/realtime/test_callbacks.py walks these files for what has no place in them.     │
# └────────────────────────────────────────────────────────────────────────────────────────────┘
"""What PortAudio calls for each block of a device: capture, playback, or both.

`capture_callback`, `playback_callback` and `duplex_callback` are C functions of the type
PaStreamCallback; their user data is the address of a record that `ports` makes: a `CAPTURE`, a
`PLAYBACK`, or the addresses of one of each. `capture` and `playback` do the same from plain
arguments. The C functions never fail and always go on (paContinue); a block may have any length.

Positions are absolute input frames. Audio is float32. All times are seconds of the run's clock: the
system's monotonic one, or virtual time. Each stream has a clock of its own, which counts from a
moment of its own; how far a block's call is from its converter is worked out on that
(`_from_converter`), and nothing else is.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from ringbuffer import (
    float32_at,
    int64_at,
    ring_end_at,
    ring_peek_at,
    ring_release_at,
    ring_write_at,
)
from ringbuffer.atomics import load_acquire, store_release
from ringbuffer.compiled import c_function, compiled
from streamer.live.realtime.device_clock import SHOWN_WORDS, dll_at, dll_look, dll_update

_numba: Any = numba

CHUNK_FRAMES = 256
"""Longer blocks are worked through in chunks of this, the length of the scratch buffers."""
FADE_FRAMES = 256
"""How long a fade takes: 5 ms at 48 kHz. Shorter where the delay is, so that it is not noticed."""
MAX_FILL_CHUNKS = 64
"""How much silence for lost frames one capture callback may write: its work is bounded."""
TAPS = 32
"""Input frames that an output frame is made of, where two clocks are brought together."""
HALF_TAPS = TAPS // 2
PHASES = 512
"""Rows of the filter table for one frame's way; between the rows it is interpolated."""
MOST_RATIO_CHANGE = 0.01
"""What is farther from 1 is no clock; and a row holds what a chunk needs."""
ROW_FRAMES = CHUNK_FRAMES + TAPS + 32
MIX_ROWS = 4
"""Rows of the gain matrix past the stems': mix L, mix R, then mix L, mix R instead of stems."""

MOST_CONVERTER_SECONDS = 10.0
"""No device buffers more: what is farther from its call than that is no time of its converter."""

INPUT_UNDERFLOW, INPUT_OVERFLOW, OUTPUT_UNDERFLOW = 1, 2, 4

MOST_SAMPLE = 100.0
"""40 dB over full scale: no device means that, and the level would take minutes to recover."""
_TINY = 1e-30  # denormals, which slow a CPU down a hundredfold, are silence


_WORD, _NUMBER = np.int64, np.float64  # every field takes eight bytes

LOG_RING = np.dtype(
    [
        ("capacity", _WORD),  # how many records there is room for
        ("records", _WORD),  # address of the records, each a `LOG`
        ("written", _WORD),  # how many records the callback wrote
        ("read", _WORD),  # how many records the reader took
        ("dropped", _WORD),  # how many records found no room
    ]
)
"""A ring of `LOG`: the callback writes, one thread reads."""

LOG = np.dtype(
    [
        ("frame", _WORD),  # the device's first frame of the block
        ("called_seconds", _NUMBER),  # when the callback was called
        ("converter_seconds", _NUMBER),  # from that frame's recording to the call, or from the call
        # to its playing; nan: not known
        ("duration_seconds", _NUMBER),  # how long the callback took
        ("position", _NUMBER),  # the input frame that the first frame plays
        ("ratio", _NUMBER),  # input frames that an output frame takes, at the end of the block
    ]
)
"""One call of a callback. All times are the run's."""

CAPTURE = np.dtype(
    [
        ("channels", _WORD),  # how many channels the device records
        ("targets", _WORD),  # address of the rings to write, each of `TARGET_WORDS` words
        ("target_count", _WORD),  # how many rings that are
        ("gains", _WORD),  # address of `(channels, 2)`: from the device's channels to stereo
        ("scratch", _WORD),  # address of `(CHUNK_FRAMES, 2)`: a chunk in stereo
        ("silence", _WORD),  # address of `(CHUNK_FRAMES, 2)`: zeros
        ("dll", _WORD),  # address of the device's `DLL`; 0: a file, which has no clock
        ("log", _WORD),  # address of a `LOG_RING`
        ("clock", _WORD),  # address of two words that the system's clock is read into
        ("clock_id", _WORD),  # number of that clock
        ("virtual_time", _WORD),  # address of the virtual time; 0: the system's clock is read
        ("position", _WORD),  # the next frame: what was recorded, and what was skipped
        ("callbacks", _WORD),  # counter: calls
        ("away_frames", _WORD),  # counter: frames that passed while the device was away
        ("overflow_flags", _WORD),  # counter: calls that the host marks with a loss before them
        ("underflow_flags", _WORD),  # counter: calls whose input the host made up
        ("bad_samples", _WORD),  # counter: samples that were no numbers, or far beyond all sound
        ("fade_left", _WORD),  # how many frames are still to fade in
        ("uncounted_seconds", _NUMBER),  # what the host's times say too much of the converter
        ("semaphore", _WORD),  # address of what is posted after each block; 0: nothing is
    ]
)
TARGET_WORDS = 3
"""A ring that the capture callback writes: its header's and data's addresses, and frames lost."""

PLAYBACK = np.dtype(
    [
        # what is played
        ("stems", _WORD),  # how many stems
        ("outputs", _WORD),  # how many channels the device plays
        ("samplerate", _NUMBER),  # nominal, in Hz
        ("delay_frames", _WORD),  # output frame n plays input frame n - `delay_frames`
        ("wanted_delay_frames", _WORD),  # what that is to become; -1: not known, and all is silent
        ("stem_header", _WORD),  # address of the stem ring's header
        ("stem_data", _WORD),  # address of its frames: stem0 L, stem0 R, ..., wet
        ("dry_header", _WORD),  # address of the dry ring's header
        ("dry_data", _WORD),  # address of its frames: the mix, in stereo
        # where it is
        ("position", _WORD),  # with `phase`: the input frame that the next output frame plays
        ("phase", _NUMBER),  # the part of a frame past `position`, under 1
        ("silent_until", _WORD),  # what lies before this input frame is silence
        ("mixed_from", _WORD),  # the first input frame in `mixed`
        ("mixed_until", _WORD),  # the input frame past the last one in `mixed`
        # gains and fades
        ("gains", _WORD),  # address of `(2 * stems + MIX_ROWS, outputs)`: as they are now
        ("targets", _WORD),  # address of the same: where they ramp to
        ("gain_step", _NUMBER),  # how far a gain moves in a frame
        ("ramp", _NUMBER),  # the stems' fade: 0 where their ring has run out, 1 where it has not
        ("dry_ramp", _NUMBER),  # the mix's fade
        ("master", _NUMBER),  # the fade of all, round a jump and after a device loss
        ("fade_frames", _WORD),  # how long `ramp` and `dry_ramp` take
        ("knee", _NUMBER),  # above this level samples are bent under full scale
        # buffers
        ("stem_scratch", _WORD),  # address of `(CHUNK_FRAMES, 2 * stems + 1)`: a chunk of stems
        ("dry_scratch", _WORD),  # address of `(CHUNK_FRAMES, 2)`: a chunk of the mix
        ("levels", _WORD),  # address of `(3, CHUNK_FRAMES)`: of stems, mix, and mix for stems
        ("mixed", _WORD),  # address of `(outputs, ROW_FRAMES)`: input frames, mixed for outputs
        ("meter_row", _WORD),  # address of one frame of the meter ring
        ("meter_header", _WORD),  # address of the meter ring's header
        ("meter_data", _WORD),  # address of its frames: frames, then peaks and squares
        # a clock of its own
        ("dll", _WORD),  # address of the device's `DLL`; 0: both devices have one clock
        ("source_dll", _WORD),  # address of the input device's `DLL`; 0: there is none
        (
            "led_dll",
            _WORD,
        ),  # address of the same, of a file, which this output leads; 0: it does not
        ("seen", _WORD),  # address of the four words that were copied from it
        ("filter", _WORD),  # address of `(PHASES + 1, TAPS)`: the interpolation filters
        ("steps", _WORD),  # address of `CHUNK_FRAMES` reals: where in `mixed` output frames lie
        ("aligned", _WORD),  # 1 where the clocks have told the position
        ("early_frames", _WORD),  # in these, which are left, a smaller error may be jumped over
        ("most_early_frames", _WORD),  # how many those are at first
        ("jump_frames", _WORD),  # a jump that waits for the fade out; 0: none
        ("ratio", _NUMBER),  # input frames that an output frame takes
        ("error_frames", _NUMBER),  # how far from where it should be the position is
        ("fill_frames", _WORD),  # while all is silent, these count for nothing: they may be at once
        ("settle_seconds", _NUMBER),  # how well the clocks must be known for the first alignment
        ("sure_seconds", _NUMBER),  # how well they must be known for the second
        ("gear", _NUMBER),  # the correction's gain, times the seconds that the clocks are known
        ("least_gain", _NUMBER),  # what that gain is at least
        ("most_gain", _NUMBER),  # and at most
        ("most_correction", _NUMBER),  # how far from 1 a correction may take the ratio
        ("early_error_frames", _NUMBER),  # a larger error is jumped over while it is early
        ("most_error_frames", _NUMBER),  # and later
        ("most_ahead", _NUMBER),  # but no more of the delay than this where it is ahead
        # times and their log
        ("log", _WORD),  # address of a `LOG_RING`
        ("clock", _WORD),  # address of two words that the system's clock is read into
        ("clock_id", _WORD),  # number of that clock
        ("virtual_time", _WORD),  # address of the virtual time; 0: the system's clock is read
        ("uncounted_seconds", _NUMBER),  # what the host's times say too much of the converter
        # counters
        ("played_frames", _WORD),  # output frames
        ("callbacks", _WORD),  # calls
        ("shortfalls", _WORD),  # times that the stems ran out
        ("missing_frames", _WORD),  # frames whose stems were not there
        ("dry_missing_frames", _WORD),  # frames whose mix was not there
        ("dry_frames", _WORD),  # frames at which the stems were less than half there
        ("underflow_flags", _WORD),  # calls that the host marks with a hole before them
        ("bad_samples", _WORD),  # samples that were no numbers
        ("splices", _WORD),  # jumps
    ]
)

_LOG_WORDS, _LOG_RING_WORDS = (kind.itemsize // 8 for kind in (LOG, LOG_RING))
_CAPTURE_WORDS, _PLAYBACK_WORDS = (kind.itemsize // 8 for kind in (CAPTURE, PLAYBACK))
_WRITTEN, _READ = (8 * (LOG_RING.names or ()).index(name) for name in ("written", "read"))
_INT, _REAL, _VOID = types.int64, types.float64, types.void
_SAMPLES = types.float32[:, ::1]
_clock_gettime: Any = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.intp))
_sem_post: Any = types.ExternalFunction("sem_post", types.int32(types.intp))

Samples = npt.NDArray[np.float32]


# Records, clock and log


@compiled(inlined=True)
def capture_at(address: int) -> Any:
    """The `CAPTURE` at an address, as an array of one."""
    return int64_at(address, _CAPTURE_WORDS).view(CAPTURE)


@compiled(inlined=True)
def playback_at(address: int) -> Any:
    """The `PLAYBACK` at an address, as an array of one."""
    return int64_at(address, _PLAYBACK_WORDS).view(PLAYBACK)


@compiled(_REAL(_INT, _INT, _INT), inside=True)
def seconds_now(clock: int, clock_id: int, virtual_time: int) -> float:
    """The run's clock: the virtual time at an address, or else the system's clock of that number.

    `clock` is the address of two words to write the system's to.
    """
    if virtual_time != 0:
        return float(int64_at(virtual_time, 1).view(np.float64)[0])
    # The C library reads this clock without entering the kernel.
    _clock_gettime(clock_id, clock)
    now = int64_at(clock, 2)
    return float(now[0] + 1e-9 * now[1])


@compiled(_REAL(_REAL, _REAL, _REAL), inside=True)
def _from_converter(early: float, late: float, uncounted: float) -> float:
    """The seconds between a call and its block's converter, both on the stream's own clock.

    Less what is `uncounted`. It is nan where the host tells none, or no time that can be.
    """
    seconds = late - early
    told = early != 0 and late != 0 and 0 <= seconds <= MOST_CONVERTER_SECONDS
    return seconds - uncounted if told else np.nan


@compiled(_VOID(_INT, _INT, _REAL, _REAL, _REAL, _REAL, _REAL), inside=True)
def _log(
    log: int,
    frame: int,
    called: float,
    converter: float,
    end: float,
    position: float,
    ratio: float,
) -> None:
    ring = int64_at(log, _LOG_RING_WORDS).view(LOG_RING)[0]
    if ring.written - load_acquire(log + _READ) >= ring.capacity:
        ring.dropped += 1
        return
    slot = ring.records + ring.written % ring.capacity * (8 * _LOG_WORDS)
    record = int64_at(slot, _LOG_WORDS).view(LOG)[0]
    record.frame = frame
    record.called_seconds = called
    record.converter_seconds = converter
    record.duration_seconds = end - called
    record.position = position
    record.ratio = ratio
    store_release(log + _WRITTEN, ring.written + 1)


# Capture


@compiled(_VOID(_INT, _INT, _INT, _INT), inside=True)
def _push(target: int, position: int, samples: int, frames: int) -> None:
    """Write the frames from `position` on to a ring; silence first where some were lost."""
    ring = int64_at(target, TARGET_WORDS)
    missing = position - ring_end_at(ring[0])
    written = 0 if missing else ring_write_at(ring[0], ring[1], samples, frames)
    ring[2] += frames - written


@compiled(_VOID(_INT, _INT))
def capture_fill(address: int, most_chunks: int) -> None:
    """Put silence where frames were lost or skipped, as far as the rings have room."""
    state = capture_at(address)[0]
    for number in range(state.target_count):
        ring = int64_at(state.targets + number * (8 * TARGET_WORDS), TARGET_WORDS)
        for _chunk in range(most_chunks):
            missing = min(state.position - ring_end_at(ring[0]), CHUNK_FRAMES)
            if missing <= 0 or ring_write_at(ring[0], ring[1], state.silence, missing) < missing:
                break


@compiled(_VOID(_INT, _INT))
def capture_skip(address: int, frames: int) -> None:
    """Let frames pass that no device recorded: silence, so that positions stay true."""
    state = capture_at(address)[0]
    state.position += frames
    state.away_frames += frames
    state.fade_left = FADE_FRAMES
    capture_fill(address, frames // CHUNK_FRAMES + 2)
    if state.semaphore != 0:
        _sem_post(state.semaphore)


@compiled(_INT(_SAMPLES, _SAMPLES, _SAMPLES), inside=True)
def _to_stereo(device: Samples, gains: Samples, stereo: Samples) -> int:
    """Bring device channels to two; return how many samples were no sound, and became silence."""
    bad = 0
    for frame in range(device.shape[0]):
        left = right = np.float32(0.0)
        for channel in range(device.shape[1]):
            sample = device[frame, channel]
            if not abs(sample) <= MOST_SAMPLE:
                bad += 1
            elif abs(sample) > _TINY:
                left += sample * gains[channel, 0]
                right += sample * gains[channel, 1]
        stereo[frame, 0] = left
        stereo[frame, 1] = right
    return bad


@compiled(_VOID(_INT, _SAMPLES), inside=True)
def _fade_in(address: int, stereo: Samples) -> None:
    """Behind frames that were skipped: a device comes back in the middle of something."""
    state = capture_at(address)[0]
    for frame in range(min(state.fade_left, stereo.shape[0])):
        level = np.float32(1.0 - state.fade_left / FADE_FRAMES)
        stereo[frame, 0] *= level
        stereo[frame, 1] *= level
        state.fade_left -= 1


@compiled(_VOID(_INT, _INT, _INT, _REAL, _REAL, _INT))
def capture(
    address: int, device: int, frames: int, stream_seconds: float, adc_seconds: float, flags: int
) -> None:
    """Take in a block: `frames` interleaved frames at the address `device` (0: silence).

    Both times are on the stream's clock, 0 where there is none.
    """
    state = capture_at(address)[0]
    now = seconds_now(state.clock, state.clock_id, state.virtual_time)
    first = state.position
    state.callbacks += 1
    state.overflow_flags += (flags & INPUT_OVERFLOW) != 0
    state.underflow_flags += (flags & INPUT_UNDERFLOW) != 0
    if state.dll != 0:
        dll_update(state.dll, now, first, frames)
    capture_fill(address, MAX_FILL_CHUNKS)
    gains = float32_at(state.gains, state.channels, 2)
    done = 0
    while done < frames:
        count = min(CHUNK_FRAMES, frames - done)
        samples = state.silence
        if device != 0:
            samples = state.scratch
            block = float32_at(device + done * state.channels * 4, count, state.channels)
            stereo = float32_at(samples, count, 2)
            state.bad_samples += _to_stereo(block, gains, stereo)
            _fade_in(address, stereo)
        for number in range(state.target_count):
            target = state.targets + number * (8 * TARGET_WORDS)
            _push(target, state.position, samples, count)
        state.position += count
        done += count
    if state.semaphore != 0:
        _sem_post(state.semaphore)
    end = seconds_now(state.clock, state.clock_id, state.virtual_time)
    converter = _from_converter(adc_seconds, stream_seconds, state.uncounted_seconds)
    _log(state.log, first, now, converter, end, float(first), 1.0)


# Playback: mix


@compiled(types.boolean(_INT, _INT, _INT, _INT), inside=True)
def _all_there(address: int, until: int, stem_end: int, dry_end: int) -> bool:
    """Whether nothing fades or has to until a position."""
    state = playback_at(address)[0]
    if state.wanted_delay_frames < 0:
        return False
    full = state.ramp >= 1.0 and state.dry_ramp >= 1.0 and state.master >= 1.0
    left = min(stem_end, dry_end) - until + 1
    return bool(full and state.jump_frames == 0 and left >= state.fade_frames)


@compiled(_VOID(_INT, _INT, _INT, _INT, _INT), inside=True)
def _levels(address: int, first: int, frames: int, stem_end: int, dry_end: int) -> None:
    """Work out, per frame, how loud the stems, the mix and the mix instead of stems are.

    All are linear ramps: down to 0 where the ring ends, and up again.
    """
    state = playback_at(address)[0]
    levels = float32_at(state.levels, 3, CHUNK_FRAMES)
    stems = float32_at(state.stem_scratch, CHUNK_FRAMES, 2 * state.stems + 1)
    wet = 2 * state.stems
    if _all_there(address, first + frames, stem_end, dry_end):
        levels[0:2] = 1.0
        for frame in range(frames):
            levels[2, frame] = np.float32(1.0) - stems[frame, wet]
            state.dry_frames += stems[frame, wet] < 0.5 and first + frame >= 0
        return
    fade = 1.0 / state.fade_frames
    heard = state.wanted_delay_frames >= 0
    master_step = (1.0 if heard and state.jump_frames == 0 else -1.0) / FADE_FRAMES
    for frame in range(frames):
        position = first + frame
        was_full = state.ramp >= 1.0
        state.ramp = min(state.ramp + fade, 1.0, max(0.0, (stem_end - position) * fade))
        state.dry_ramp = min(state.dry_ramp + fade, 1.0, max(0.0, (dry_end - position) * fade))
        state.shortfalls += was_full and state.ramp < 1.0
        state.master = min(max(state.master + master_step, 0.0), 1.0)
        mix = state.dry_ramp * state.master
        levels[0, frame] = state.ramp * state.master
        levels[1, frame] = mix
        levels[2, frame] = mix * (1.0 - state.ramp * stems[frame, wet])
        state.dry_frames += heard and state.ramp * stems[frame, wet] < 0.5 and position >= 0


@compiled(_VOID(_INT, _INT), inside=True)
def _meter_stems(address: int, frames: int) -> None:
    """Meter the stems before their gains, and silence what is no number."""
    state = playback_at(address)[0]
    count = state.stems
    stems = float32_at(state.stem_scratch, CHUNK_FRAMES, 2 * count + 1)
    row = float32_at(state.meter_row, 1, 1 + 2 * (count + state.outputs))[0]
    for stem in range(count):
        peak = row[1 + stem]
        squares = np.float32(0.0)
        for frame in range(frames):
            for channel in range(2 * stem, 2 * stem + 2):
                sample = stems[frame, channel]
                if not abs(sample) < np.inf:
                    state.bad_samples += 1
                    stems[frame, channel] = sample = np.float32(0.0)
                peak = max(peak, abs(sample))
                squares += sample * sample
        row[1 + stem] = peak
        row[1 + count + stem] += squares


@compiled(_VOID(_INT, _INT, _SAMPLES, _INT, _INT, _INT, _INT), inside=True)
def _add_source(
    address: int, row: int, source: Samples, channel: int, level: int, into: int, frames: int
) -> None:
    """Add one channel of `source` `(frames, channels)` to every output that it has a gain for."""
    state = playback_at(address)[0]
    rows = 2 * state.stems + MIX_ROWS
    gains = float32_at(state.gains, rows, state.outputs)
    targets = float32_at(state.targets, rows, state.outputs)
    levels = float32_at(state.levels, 3, CHUNK_FRAMES)[level]
    mixed = float32_at(state.mixed, state.outputs, ROW_FRAMES)
    step = np.float32(state.gain_step)
    for output in range(state.outputs):
        gain = gains[row, output]
        target = targets[row, output]
        if gain != target:
            for frame in range(frames):
                change = target - gain
                gain = target if abs(change) <= step else gain + np.copysign(step, change)
                mixed[output, into + frame] += gain * (source[frame, channel] * levels[frame])
            gains[row, output] = gain
        elif gain != 0.0:
            for frame in range(frames):
                mixed[output, into + frame] += gain * (source[frame, channel] * levels[frame])


@compiled(_VOID(_INT, _INT, _INT, _INT), inside=True)
def _mix(address: int, first: int, frames: int, into: int) -> None:
    """Mix the input frames from `first` on, all past `silent_until`, to the column `into`."""
    state = playback_at(address)[0]
    stems = 2 * state.stems
    stem_end = ring_end_at(state.stem_header)
    dry_end = ring_end_at(state.dry_header)
    stem_source = float32_at(state.stem_scratch, CHUNK_FRAMES, stems + 1)
    dry_source = float32_at(state.dry_scratch, CHUNK_FRAMES, 2)
    got = ring_peek_at(state.stem_header, state.stem_data, first, state.stem_scratch, frames)
    stem_source[max(got, 0) : frames] = 0.0
    heard = state.wanted_delay_frames >= 0
    state.missing_frames += (frames - max(got, 0)) * heard
    got = ring_peek_at(state.dry_header, state.dry_data, first, state.dry_scratch, frames)
    dry_source[max(got, 0) : frames] = 0.0
    state.dry_missing_frames += (frames - max(got, 0)) * heard
    _meter_stems(address, frames)
    _levels(address, first, frames, stem_end, dry_end)
    for channel in range(stems):
        _add_source(address, channel, stem_source, channel, 0, into, frames)
    for channel in range(2):
        _add_source(address, stems + channel, dry_source, channel, 1, into, frames)
        _add_source(address, stems + 2 + channel, dry_source, channel, 2, into, frames)
    ring_release_at(state.stem_header, first + frames)
    ring_release_at(state.dry_header, first + frames)


@compiled(_VOID(_INT), inside=True)
def _settle_gains(address: int) -> None:
    """Take the gains over at once, where nothing is heard."""
    state = playback_at(address)[0]
    rows = 2 * state.stems + MIX_ROWS
    gains = float32_at(state.gains, rows, state.outputs)
    targets = float32_at(state.targets, rows, state.outputs)
    for row in range(rows):
        for output in range(state.outputs):
            gains[row, output] = targets[row, output]


@compiled(_VOID(_INT, _INT), inside=True)
def _mix_on(address: int, until: int) -> None:
    """Mix from `mixed_until` to `until`, at most `CHUNK_FRAMES` frames, at the end of the row."""
    state = playback_at(address)[0]
    first = state.mixed_until
    into = first - state.mixed_from
    mixed = float32_at(state.mixed, state.outputs, ROW_FRAMES)
    mixed[:, into : into + until - first] = 0.0
    silent = min(max(state.silent_until - first, 0), until - first)
    if silent > 0:
        _settle_gains(address)
    if silent < until - first:
        _mix(address, first + silent, until - first - silent, into + silent)
    state.mixed_until = until


# Playback: out


@compiled(types.float32(types.float32, types.float32), inside=True)
def soft_clip(sample: Any, knee: Any) -> Any:
    """A sample, bent under full scale above the knee; see `streamer.pipeline.level`."""
    magnitude = abs(sample)
    if magnitude <= knee:
        return sample
    if not magnitude < np.inf:
        return np.float32(0.0)
    room = np.float32(1.0) - knee
    return np.copysign(knee + room * np.tanh((magnitude - knee) / room), sample)


@compiled(_VOID(_INT, _SAMPLES), inside=True)
def _meter_outputs(address: int, device: Samples) -> None:
    """Bend a block for the device under full scale, and meter what comes out."""
    state = playback_at(address)[0]
    outputs = state.outputs
    skip = 1 + 2 * state.stems
    row = float32_at(state.meter_row, 1, skip + 2 * outputs)[0]
    knee = np.float32(state.knee)
    for output in range(outputs):
        peak = squares = np.float32(0.0)
        for frame in range(device.shape[0]):
            sample = soft_clip(device[frame, output], knee)
            device[frame, output] = sample
            peak = max(peak, abs(sample))
            squares += sample * sample
        row[skip + output] = peak
        row[skip + outputs + output] = squares


@compiled(_VOID(_INT, _SAMPLES), inside=True)
def _play_straight(address: int, device: Samples) -> None:
    """Fill a block with the next input frames, as they are."""
    state = playback_at(address)[0]
    mixed = float32_at(state.mixed, state.outputs, ROW_FRAMES)
    done = 0
    while done < device.shape[0]:
        count = min(CHUNK_FRAMES, device.shape[0] - done)
        state.mixed_from = state.mixed_until = state.position
        _mix_on(address, state.position + count)
        for output in range(state.outputs):
            for frame in range(count):
                device[done + frame, output] = mixed[output, frame]
        state.position += count
        done += count


# Playback on a clock of its own: which input frame is due, and the frames between the frames


@compiled(_VOID(_INT, _INT), inside=True)
def _start_row(address: int, position: int) -> None:
    """Go to a position: nothing is mixed yet, and what was mixed once is silence now."""
    state = playback_at(address)[0]
    state.silent_until = max(state.silent_until, state.mixed_until)
    state.position = position
    state.mixed_from = state.mixed_until = position - HALF_TAPS + 1


@compiled(_REAL(_INT, _REAL, _REAL, _INT), inside=True)
def _most_error(address: int, error: float, age: float, frames: int) -> float:
    """How many frames the position may be off without a jump.

    Once after it began, as soon as both clocks are well known, that is little. A loop that begins
    anew while it is early puts that off. Later it does not bring it back: frames were lost then,
    which is no start, and a device that loses some again and again would always be at one.

    An input that lost frames leaves the position ahead (`error` below 0), where stems are late, or
    there is nothing to play at all: so the shorter the delay, the less of that.
    """
    state = playback_at(address)[0]
    most = float(state.most_error_frames)
    early = state.early_frames != 0
    state.early_frames = max(0, state.early_frames - frames)
    if age < state.sure_seconds or state.jump_frames != 0:
        return most
    if early:
        state.early_frames = 0
        return float(state.early_error_frames)
    ahead = max(state.early_error_frames, state.most_ahead * state.delay_frames)
    return min(most, ahead) if error < 0 else most


@compiled(types.boolean(_INT, _REAL, _INT), inside=True)
def _follow(address: int, now: float, frames: int) -> bool:
    """Set `ratio` so that the delay stays what it should be. False: the input's clock is unknown.

    The two loops' periods give the ratio (the integral part), and the distance from where the
    position should be corrects it (the proportional part), gently once both are well known.
    """
    state = playback_at(address)[0]
    if state.wanted_delay_frames < 0 and state.played_frames < state.fill_frames:
        dll_at(state.dll)[0].blocks = 0  # what fills a buffer first tells no time
    dll_update(state.dll, now, state.played_frames, frames)
    known = dll_look(state.source_dll, state.seen) if state.source_dll != 0 else False
    own = dll_at(state.dll)[0]
    source = int64_at(state.seen, SHOWN_WORDS).view(np.float64)
    if not known:
        return False
    age = min(own.age_seconds, source[3])
    target = source[1] - state.delay_frames
    target += (own.time - source[0]) / source[2] * state.samplerate
    if state.aligned == 0 or state.position + HALF_TAPS + 2 * frames < state.silent_until:
        # Nothing was heard yet: go where it should be, at once.
        if age < state.settle_seconds and target + 2 * frames > state.silent_until:
            return False
        if target > state.silent_until:
            state.master = 0.0
        _start_row(address, int(np.floor(target)))
        state.phase = target - np.floor(target)
        if state.aligned == 0:
            state.early_frames = state.most_early_frames
        state.aligned = 1
    error = target - (state.position + state.phase)
    state.error_frames = error
    if abs(error) > _most_error(address, error, age, frames) and state.jump_frames == 0:
        state.jump_frames = int(error)
        state.splices += 1
    gain = min(max(state.gear / (age + 1e-9), state.least_gain), state.most_gain)
    correction = gain * error / state.samplerate
    correction = min(max(correction, -state.most_correction), state.most_correction)
    ratio = own.period / source[2] * (1.0 + correction)
    state.ratio = min(max(ratio, 1.0 - MOST_RATIO_CHANGE), 1.0 + MOST_RATIO_CHANGE)
    return True


@compiled(_VOID(_INT), inside=True)
def _jump(address: int) -> None:
    """Jump where the ear hears nothing, if a jump is due."""
    state = playback_at(address)[0]
    if state.jump_frames != 0 and state.master <= 0.0:
        _start_row(address, state.position + state.jump_frames)
        state.jump_frames = 0


@compiled(_VOID(_INT), inside=True)
def _take_delay(address: int) -> None:
    """Take over another delay, before anything was heard: what was passed over stays silent."""
    state = playback_at(address)[0]
    change = state.wanted_delay_frames - state.delay_frames
    if state.wanted_delay_frames < 0 or change == 0:
        return
    state.delay_frames += change
    state.silent_until = max(state.silent_until, state.position, state.mixed_until)
    state.ramp = state.dry_ramp = 1.0  # what was late was so for the delay before
    if state.dll == 0:
        state.position -= change
    else:
        state.aligned = 0


@compiled(_VOID(_INT), inside=True)
def _shift_row(address: int) -> None:
    """Forget the mixed frames that no output frame needs any more."""
    state = playback_at(address)[0]
    first = state.position - HALF_TAPS + 1
    held = state.mixed_until - first
    skip = first - state.mixed_from
    mixed = float32_at(state.mixed, state.outputs, ROW_FRAMES)
    for output in range(state.outputs):
        for column in range(held):
            mixed[output, column] = mixed[output, column + skip]
    state.mixed_from = first


def _interpolation(_typing: Any, _table: Any, _weight: Any, _samples: Any) -> Any:
    exact = ("reassoc", "contract", "nsz")  # in any order, but no other liberties

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        row = ir.VectorType(ir.FloatType(), TAPS)

        def load(address: Any) -> Any:
            value = builder.load(builder.inttoptr(address, row.as_pointer()))
            value.align = 4
            return value

        def pick(vector: Any, first: int, count: int, step: int = 1) -> Any:
            order = ir.VectorType(ir.IntType(32), count)
            lanes = ir.Constant(order, [first + step * lane for lane in range(count)])
            return builder.shuffle_vector(vector, vector, lanes)

        table, weight, samples = arguments
        low, high = load(table), load(builder.add(table, ir.Constant(ir.IntType(64), 4 * TAPS)))
        undefined = ir.Constant(row, ir.Undefined)
        weight = builder.insert_element(undefined, weight, ir.Constant(ir.IntType(32), 0))
        rise = builder.fmul(pick(weight, 0, TAPS, 0), builder.fsub(high, low, flags=exact), exact)
        sums = builder.fmul(builder.fadd(low, rise, flags=exact), load(samples), flags=exact)
        count = TAPS
        while count > 1:
            count //= 2
            sums = builder.fadd(pick(sums, 0, count), pick(sums, count, count), flags=exact)
        return builder.extract_element(sums, ir.Constant(ir.IntType(32), 0))

    return types.float32(_INT, types.float32, _INT), generate


# The sum of `TAPS` samples times the filter between two rows of its table. In LLVM's vectors: left
# to the compiler, this loop is either not unrolled or not vectorised, and takes four times as long.
_interpolate: Any = _numba.extending.intrinsic(_interpolation)


@compiled(_REAL(_INT, _INT, _REAL, _REAL), inside=True)
def _step_on(address: int, frames: int, ratio: float, change: float) -> float:
    """Write down the columns of the row at which the next output frames lie, and go past them.

    Returns the ratio after them.
    """
    state = playback_at(address)[0]
    steps = int64_at(state.steps, CHUNK_FRAMES).view(np.float64)
    column = 0
    phase = state.phase
    for frame in range(frames):
        steps[frame] = column + phase
        ratio += change
        phase += ratio
        while phase >= 1.0:
            phase -= 1.0
            column += 1
    state.phase = phase
    state.position += column
    return ratio


@compiled(_VOID(_INT, _SAMPLES, _REAL), inside=True)
def _play_resampled(address: int, device: Samples, ratio: float) -> None:
    """Fill a block, going from `ratio` to the ratio that is set now."""
    state = playback_at(address)[0]
    steps = int64_at(state.steps, CHUNK_FRAMES).view(np.float64)
    change = (state.ratio - ratio) / max(device.shape[0], 1)
    done = 0
    while done < device.shape[0]:
        count = min(CHUNK_FRAMES, device.shape[0] - done)
        _jump(address)
        _shift_row(address)
        ratio = _step_on(address, count, ratio, change)
        # In pieces that fit the scratch buffers, as far as the last frame's filter reaches.
        until = state.mixed_from + int(steps[count - 1]) + TAPS
        while state.mixed_until < until:
            _mix_on(address, min(until, state.mixed_until + CHUNK_FRAMES))
        for frame in range(count):
            column = int(steps[frame])
            row = (steps[frame] - column) * PHASES
            table = state.filter + int(row) * (4 * TAPS)
            weight = np.float32(row - int(row))
            for output in range(state.outputs):
                samples = state.mixed + 4 * (output * ROW_FRAMES + column)
                device[done + frame, output] = _interpolate(table, weight, samples)
        done += count


@compiled(_VOID(_INT, _INT, _INT, _REAL, _REAL, _INT), inside=True)
def playback(
    address: int, device: int, frames: int, stream_seconds: float, dac_seconds: float, flags: int
) -> None:
    """Fill a block: `frames` interleaved frames at the address `device`.

    Both times are on the stream's clock, 0 where there is none.
    """
    state = playback_at(address)[0]
    now = seconds_now(state.clock, state.clock_id, state.virtual_time)
    state.underflow_flags += (flags & OUTPUT_UNDERFLOW) != 0
    _take_delay(address)
    meter_floats = 1 + 2 * (state.stems + state.outputs)
    row = float32_at(state.meter_row, 1, meter_floats)
    row[:] = 0.0
    row[0, 0] = frames
    block = float32_at(device, frames, state.outputs)
    ratio = state.ratio
    position = state.position + state.phase
    if state.led_dll != 0:
        dll_update(state.led_dll, now, state.position + state.delay_frames, frames)
    if state.dll == 0:
        _play_straight(address, block)
    elif _follow(address, now, frames):
        position = state.position + state.phase
        _play_resampled(address, block, ratio)
    else:
        block[:] = 0.0
    _meter_outputs(address, block)
    ring_write_at(state.meter_header, state.meter_data, state.meter_row, 1)
    end = seconds_now(state.clock, state.clock_id, state.virtual_time)
    converter = _from_converter(stream_seconds, dac_seconds, state.uncounted_seconds)
    _log(state.log, state.played_frames, now, converter, end, position, state.ratio)
    state.played_frames += frames
    state.callbacks += 1


# What PortAudio calls. Its pointers are taken as addresses, its unsigned longs as signed.

_PORTAUDIO = types.int32(_INT, _INT, _INT, _INT, _INT, _INT)
_ADC, _NOW, _DAC = 0, 1, 2


@compiled(_REAL(_INT, _INT), inside=True)
def _time(time_info: int, which: int) -> float:
    """One of PaStreamCallbackTimeInfo's three times; 0 where the host gives none."""
    return float(int64_at(time_info, 3).view(np.float64)[which]) if time_info != 0 else 0.0


@c_function(_PORTAUDIO)
def capture_callback(
    device_in: int, _device_out: int, frames: int, time_info: int, flags: int, user_data: int
) -> int:
    """PaStreamCallback for an input stream; `user_data` is a `CAPTURE`."""
    now = _time(time_info, _NOW)
    capture(user_data, device_in, frames, now, _time(time_info, _ADC), flags)
    return 0


@c_function(_PORTAUDIO)
def playback_callback(
    _device_in: int, device_out: int, frames: int, time_info: int, flags: int, user_data: int
) -> int:
    """PaStreamCallback for an output stream; `user_data` is a `PLAYBACK`."""
    now = _time(time_info, _NOW)
    playback(user_data, device_out, frames, now, _time(time_info, _DAC), flags)
    return 0


@c_function(_PORTAUDIO)
def duplex_callback(
    device_in: int, device_out: int, frames: int, time_info: int, flags: int, user_data: int
) -> int:
    """PaStreamCallback for both; `user_data` are the addresses of a `CAPTURE` and a `PLAYBACK`."""
    both = int64_at(user_data, 2)
    now = _time(time_info, _NOW)
    capture(both[0], device_in, frames, now, _time(time_info, _ADC), flags)
    playback(both[1], device_out, frames, now, _time(time_info, _DAC), flags)
    return 0
