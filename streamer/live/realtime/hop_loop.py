"""The compiled loop of a model that goes along the stream: capture ring -> stems -> stem rings.

`do_hops` does what is due and returns, or goes on, and waits for the next block where nothing is
due, until it is told to stop. It touches no Python object, allocates nothing, takes no lock and
raises nothing, so it runs without the GIL, and nothing that Python does holds it up. `hop_engine`
makes what it works on. Unlike `callbacks` this is called by no device, so it may wait.

::

    frames -> model's rate -> level -> hop of the network -> edges of gaps -> level back
           -> devices' rate -> recipe -> clip -> rings; then what only later hops need

Its own positions are at the model's rate; those of the rings are at the devices', as those of the
arrays whose first length is n.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from ringbuffer import ring_end_at, ring_peek_at, ring_release_at, ring_write_at
from ringbuffer.atomics import int64_at, load_acquire, store_release
from ringbuffer.compiled import compiled
from ringbuffer.pointers import call_at
from streamer.audio import Samples
from streamer.live.realtime.callbacks import (
    LOG_RING,
    playback_at,
    seconds_now,
    soft_clip,
)
from streamer.live.realtime.hop_resampler import (
    Conversion,
    frames_made,
    frames_needed,
    make,
    take,
)
from streamer.live.realtime.running_gain import running_gain
from streamer.models.backends.native_network import State, Workspace, finish_hop, forget, give_hop
from streamer.models.backends.native_weights import NativeNetwork

_sem_wait: Any = types.ExternalFunction("sem_wait", types.int32(types.intp))
_usleep: Any = types.ExternalFunction("usleep", types.int32(types.uint32))

SLEEP_MICROSECONDS: Final = 100
"""How long it sleeps where nothing is due, and no semaphore wakes it."""
ON_AND_ON: Final = -1

MADE, FAILED, SKIPPED, IDLE = range(4)
"""What became of a hop: stems; no numbers; given up for a newer one; not wanted."""
CLIP_SOFT, CLIP_CLAMP, CLIP_NONE = range(3)
_CLAMPED = np.float32(0.99)

HOPS = np.dtype(
    [
        ("position", np.int64),  # the first frame that is not taken in yet
        ("heard_hop", np.int64),  # the hop that the network expects next
        ("valid_frame", np.int64),  # of what came before it, it has not heard all
        ("in_gap", np.int64),
        ("levels", np.int64),  # whether the level is evened out
        ("clip", np.int64),
        ("capture_header", np.int64),
        ("capture_data", np.int64),
        ("playback", np.int64),  # the first output's record
        ("log", np.int64),
        ("semaphore", np.int64),  # each block posts it; 0: there is none
        ("clock", np.int64),
        ("clock_id", np.int64),
        ("virtual_time", np.int64),
        ("give", np.int64),  # where the code of `give_hop` and `finish_hop` is
        ("finish", np.int64),
        ("target_rms", np.float64),
        ("knee", np.float64),
        ("ahead_seconds", np.float64),  # since the last note, see there
        ("caught_up_seconds", np.float64),
    ]
)
"""Where the loop is, and where it finds what it works on. Nobody else writes it while it runs."""

HOP_LOG = np.dtype(
    [
        ("frame", np.int64),  # the first frame of its stems
        ("outcome", np.int64),
        ("seen_seconds", np.float64),  # when it was seen that the hop is full
        ("began_seconds", np.float64),
        ("ended_seconds", np.float64),  # its stems are in the rings
        ("played_to", np.float64),  # the frame that the first output would play next, at that time
        ("ahead_seconds", np.float64),  # spent on later hops since the note before
        ("caught_up_seconds", np.float64),  # and on hops that were missed
    ]
)
"""A hop. The loop writes, one thread reads; times are on the run's clock."""

_LOG_RING_WORDS, _HOP_LOG_WORDS = LOG_RING.itemsize // 8, HOP_LOG.itemsize // 8
_WRITTEN, _READ = (8 * (LOG_RING.names or ()).index(name) for name in ("written", "read"))


class Buffers(NamedTuple):
    """What the loop works in; made, and touched, by `hop_engine`.

    The hop is h frames, the lookahead l, a multiple of it; of the network's s stems g are given. A
    hop is at most n frames at the devices' rate. Where the network lost its place, c hops of the
    past are heard again; and it may be as many behind with hops that are late before it gives them
    up: more takes as long as a new beginning.
    """

    there: Conversion  # from the devices' rate, 2 channels
    back: Conversion  # to the devices' rate, 2 s + 1 channels
    captured: Samples  # (n, 2): what is new for the hop
    fresh: Samples  # (h, 2): the hop as it was captured
    gains: Samples  # (l + h, 1): the level that went on these frames
    past: Samples  # (c + 1, h, 2): hops with the level on, by their numbers
    frames: Samples  # (h, 2): what the network is given
    stems: Samples  # (s, h, 2): what it gives
    mirrored: Samples  # (s, edge, 2): the last of that, backwards
    gaps: Samples  # (h, ): how much of each frame is missing
    leveled: Samples  # (h, 2 s + 1): the stems with the level off, and the gaps
    carried: Samples  # (n, 2 s + 1): the same at the devices' rate
    mix: Samples  # (n, 2): what was captured with it
    recipe: Samples  # (g, s + 1): how much of each stem, and of the mix, is in each that is given
    rows: Samples  # (n, 2 g + 1): what goes to the rings
    empty: Samples  # (n, 2 g + 1): a gap
    targets: NDArray[np.int64]  # (rings, 2): header and data of each
    averages: NDArray[np.float64]  # (2, )
    averaging_frames: NDArray[np.float64]  # (2, )
    orders: NDArray[np.int64]  # stop, idle: written by others


STOP, IDLING = 0, 1
_ORDER_BYTES = 8


@compiled()
def do_hops(
    network: NativeNetwork,
    memory: State,
    room: Workspace,
    b: Buffers,
    s: NDArray[np.void],
    most: int,
) -> int:
    """Do the hops that are due, at most a given number through the network; return how many it did.

    `ON_AND_ON`: each as soon as it is due, until `STOP` is ordered. Where the network has lost its
    place, since hops were given up or not wanted, it hears what came before, hop by hop, as long as
    the next can still be in time. Those for which that takes too long are a gap.
    """
    state, size = s[0], b.fresh.shape[0]
    heard = 0
    while load_acquire(b.orders.ctypes.data + STOP * _ORDER_BYTES) == 0 and heard != most:
        captured = ring_end_at(state.capture_header)
        waiting = (frames_made(b.there, captured) - state.position) // size
        idle = load_acquire(b.orders.ctypes.data + IDLING * _ORDER_BYTES) != 0
        behind = state.heard_hop < state.position // size
        late = state.position // size < _next_in_time(b, s)
        if waiting > 0 and (idle or late or not behind):
            given_up = behind or (late and waiting > b.past.shape[0] - 1)
            outcome = IDLE if idle else SKIPPED if given_up else MADE
            heard += outcome == MADE
            _do_hop(network, memory, room, b, s, outcome)
            if outcome == MADE:
                _get_ahead(network, memory, room, b, s)
        elif behind and not idle:
            _catch_up(network, memory, room, b, s)
            heard += 1
        elif most != ON_AND_ON:
            break
        elif state.semaphore != 0:
            _sem_wait(state.semaphore)
        else:
            _usleep(np.uint32(SLEEP_MICROSECONDS))
    return heard


@compiled(inlined=True)
def _do_hop(
    network: NativeNetwork,
    memory: State,
    room: Workspace,
    b: Buffers,
    s: NDArray[np.void],
    outcome: int,
) -> None:
    """Take in a hop, and give its stems, or a gap where the outcome is not to be `MADE`."""
    state, size = s[0], b.fresh.shape[0]
    seen = seconds_now(state.clock, state.clock_id, state.virtual_time)
    first, number = state.position, state.position // size
    _take_in(b, s)
    began = seconds_now(state.clock, state.clock_id, state.virtual_time)
    if outcome == MADE and not _hear(network, memory, room, b, s, number):
        outcome = FAILED
    frame = first - (b.gains.shape[0] - size)  # the stems lag by the lookahead
    state.position = first + size
    if frame < 0:
        return
    if outcome == MADE and frame < state.valid_frame:
        outcome = FAILED
    _mark_gap(b, s, outcome != MADE)
    _take_level_off(b)
    begin, end = frames_made(b.back, frame), frames_made(b.back, frame + size)
    take(b.back, b.leveled, size)
    make(b.back, frame + size, begin, b.carried, end - begin)
    _fill_rows(b, s, begin, end - begin)
    _give(b, begin, end - begin)
    _log(s, max(frame - b.back.ahead, 0), outcome, seen, began)


@compiled(inlined=True)
def _next_in_time(b: Buffers, s: NDArray[np.void]) -> int:
    """Return the first hop that the first output has not begun to play."""
    size = b.fresh.shape[0]
    lookahead = b.gains.shape[0] - size
    played = frames_made(b.there, playback_at(s[0].playback)[0].position)
    return int(-(-(played + lookahead) // size))


@compiled(inlined=True)
def _take_in(b: Buffers, s: NDArray[np.void]) -> None:
    """Take the next hop from the capture ring, and put the level on.

    It stays in the ring: a part of it is the mix that goes with the stems, later.
    """
    state, size = s[0], b.fresh.shape[0]
    lookahead = b.gains.shape[0] - size
    begin = frames_needed(b.there, state.position)
    end = frames_needed(b.there, state.position + size)
    into = b.captured.ctypes.data
    ring_peek_at(state.capture_header, state.capture_data, begin, into, end - begin)
    take(b.there, b.captured, end - begin)
    make(b.there, end, state.position, b.fresh, size)
    for frame in range(lookahead):
        b.gains[frame, 0] = b.gains[frame + size, 0]
    gains = b.gains[lookahead:]
    if state.levels != 0:
        running_gain(b.fresh, gains, b.averages, b.averaging_frames, state.position)
        target = np.float32(state.target_rms)
        for frame in range(size):
            gains[frame, 0] *= target
    past = b.past[state.position // size % b.past.shape[0]]
    for frame in range(size):
        for channel in range(2):
            past[frame, channel] = b.fresh[frame, channel] * gains[frame, 0]


@compiled(inlined=True)
def _hear(
    network: NativeNetwork,
    memory: State,
    room: Workspace,
    b: Buffers,
    s: NDArray[np.void],
    number: int,
) -> bool:
    """Have the network hear the hop of that number; return whether it gives numbers."""
    state, size = s[0], b.fresh.shape[0]
    for frame in range(size):
        for channel in range(2):
            b.frames[frame, channel] = b.past[number % b.past.shape[0], frame, channel]
    finite: bool = call_at(give_hop, state.give, (network, memory, room, b.frames, b.stems))
    if not finite:  # it begins again
        state.valid_frame = (number + 1) * size
    state.heard_hop = number + 1
    return finite


@compiled(inlined=True)
def _get_ahead(
    network: NativeNetwork, memory: State, room: Workspace, b: Buffers, s: NDArray[np.void]
) -> None:
    """Do what only later hops need of the hop that was heard."""
    state = s[0]
    began = seconds_now(state.clock, state.clock_id, state.virtual_time)
    call_at(finish_hop, state.finish, (network, memory, room, b.frames))
    ended = seconds_now(state.clock, state.clock_id, state.virtual_time)
    state.ahead_seconds += ended - began


@compiled(inlined=True)
def _catch_up(
    network: NativeNetwork, memory: State, room: Workspace, b: Buffers, s: NDArray[np.void]
) -> None:
    """Have the network hear one of the hops that it missed; of too many, it forgets all before."""
    state, size = s[0], b.fresh.shape[0]
    began = seconds_now(state.clock, state.clock_id, state.virtual_time)
    oldest = state.position // size - (b.past.shape[0] - 1)
    if state.heard_hop < oldest:
        forget(memory)
        state.heard_hop, state.valid_frame = oldest, oldest * size
    _hear(network, memory, room, b, s, state.heard_hop)
    call_at(finish_hop, state.finish, (network, memory, room, b.frames))
    ended = seconds_now(state.clock, state.clock_id, state.virtual_time)
    state.caught_up_seconds += ended - began


@compiled(inlined=True)
def _mark_gap(b: Buffers, s: NDArray[np.void], gap: bool) -> None:
    """Fade the stems at the edges of a gap, as `streamer.pipeline.gaps.GapEdges` does."""
    state, size, edge = s[0], b.fresh.shape[0], b.mirrored.shape[1]
    whole = np.float32(1.0)
    b.gaps[:] = whole if gap else np.float32(0.0)
    if gap:
        b.stems[:] = np.float32(0.0)
    for frame in range(edge):
        rise = np.float32((frame + 0.5) / edge)
        if gap and state.in_gap == 0:
            b.gaps[frame] = rise
        elif state.in_gap != 0 and not gap:
            b.gaps[frame] = whole - rise
        for stem in range(b.stems.shape[0]):  # no array at a time: that would take memory
            for channel in range(2):
                if gap and state.in_gap == 0:
                    sample = b.mirrored[stem, frame, channel] * (whole - rise)
                    b.stems[stem, frame, channel] = sample
                elif state.in_gap != 0 and not gap:
                    b.stems[stem, frame, channel] *= rise
    if not gap:
        for stem in range(b.stems.shape[0]):
            for frame in range(edge):
                for channel in range(2):
                    last = b.stems[stem, size - 1 - frame, channel]
                    b.mirrored[stem, frame, channel] = last
    state.in_gap = 1 if gap else 0


@compiled(inlined=True)
def _take_level_off(b: Buffers) -> None:
    stems = b.stems.shape[0]
    for frame in range(b.leveled.shape[0]):
        for stem in range(stems):
            for channel in range(2):
                sample = b.stems[stem, frame, channel] / b.gains[frame, 0]
                b.leveled[frame, 2 * stem + channel] = sample
        b.leveled[frame, 2 * stems] = b.gaps[frame]


@compiled(inlined=True)
def _fill_rows(b: Buffers, s: NDArray[np.void], begin: int, frames: int) -> None:
    """Make of the network's stems, and of the mix that was captured with them, those given."""
    state, given, sources = s[0], b.recipe.shape[0], b.recipe.shape[1] - 1
    ring_peek_at(state.capture_header, state.capture_data, begin, b.mix.ctypes.data, frames)
    ring_release_at(state.capture_header, begin + frames)
    knee, whole = np.float32(state.knee), np.float32(1.0)
    for frame in range(frames):
        gap = b.carried[frame, 2 * sources]  # a filter rings a little over its edges
        wet = whole - min(max(gap, np.float32(0.0)), whole)
        for channel in range(2):
            mix = b.mix[frame, channel] * wet
            for one in range(given):
                sample = b.recipe[one, sources] * mix
                for source in range(sources):
                    sample += b.recipe[one, source] * b.carried[frame, 2 * source + channel]
                if state.clip == CLIP_SOFT:
                    sample = soft_clip(sample, knee)
                elif state.clip == CLIP_CLAMP:
                    sample = min(max(sample, -_CLAMPED), _CLAMPED)
                b.rows[frame, 2 * one + channel] = sample
        b.rows[frame, 2 * given] = wet


@compiled(inlined=True)
def _give(b: Buffers, begin: int, frames: int) -> None:
    """Write the rows to each ring at their position; see `streamer.live.realtime.feed`."""
    size = b.empty.shape[0]
    for number in range(b.targets.shape[0]):
        header, data = b.targets[number, 0], b.targets[number, 1]
        end = ring_end_at(header)
        while end < begin:
            written = ring_write_at(header, data, b.empty.ctypes.data, min(size, begin - end))
            if written == 0:
                break
            end += written
        if end == begin:
            ring_write_at(header, data, b.rows.ctypes.data, frames)


@compiled(inlined=True)
def _log(s: NDArray[np.void], frame: int, outcome: int, seen: float, began: float) -> None:
    state = s[0]
    ring = int64_at(state.log, _LOG_RING_WORDS).view(LOG_RING)[0]
    if ring.written - load_acquire(state.log + _READ) >= ring.capacity:
        ring.dropped += 1
        return
    slot = ring.records + ring.written % ring.capacity * (8 * _HOP_LOG_WORDS)
    note = int64_at(slot, _HOP_LOG_WORDS).view(HOP_LOG)[0]
    output = playback_at(state.playback)[0]
    note.frame, note.outcome = frame, outcome
    note.seen_seconds, note.began_seconds = seen, began
    note.ended_seconds = seconds_now(state.clock, state.clock_id, state.virtual_time)
    note.played_to = output.position + output.phase
    note.ahead_seconds, note.caught_up_seconds = state.ahead_seconds, state.caught_up_seconds
    state.ahead_seconds = state.caught_up_seconds = 0.0
    store_release(state.log + _WRITTEN, ring.written + 1)
