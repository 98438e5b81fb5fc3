# ┌────────────────────────────────────────────────────────────────────────────────────────────┐
# │ REAL-TIME CODE, under the rules of `callbacks`: JACK calls these functions on its threads. │
# │ tests/live/realtime/test_callbacks.py walks this file, too.                                │
# └────────────────────────────────────────────────────────────────────────────────────────────┘
"""What JACK calls: for each cycle, for an xrun, for latencies, for a change of the graph.

A port of JACK has one channel. `process_callback` makes one interleaved block of those that take
in, calls the PaStreamCallback of a device's port (`callbacks`), and gives each of the others its
channel of what that played. JACK's own functions are called by their addresses: where the library
is, only `streamer.live.devices.jack_library` knows.

All functions get the address of a `JACK` record. Each word of it has one writer.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types

from ringbuffer import float32_at, int64_at
from ringbuffer.compiled import c_function, compiled
from streamer.live.realtime.callbacks import INPUT_OVERFLOW, OUTPUT_UNDERFLOW

_numba: Any = numba

CAPTURE_LATENCY, PLAYBACK_LATENCY = 0, 1
"""JackLatencyCallbackMode: from where sound came in, and to where it goes out."""

_WORD = np.int64
JACK = np.dtype(
    [
        # set before the client is active
        ("callback", _WORD),  # address of the PaStreamCallback
        ("user_data", _WORD),  # what it is given
        ("inputs", _WORD),  # how many ports take in
        ("outputs", _WORD),  # how many play
        ("input_ports", _WORD),  # address of their handles
        ("output_ports", _WORD),
        ("taken", _WORD),  # address of `(block_frames, inputs)`: a block taken in
        ("played", _WORD),  # address of `(block_frames, outputs)`: a block to play
        ("times", _WORD),  # address of three reals, a PaStreamCallbackTimeInfo
        ("range", _WORD),  # address of a jack_latency_range_t: two uint32
        ("block_frames", _WORD),  # how many frames a cycle has
        ("samplerate", _WORD),  # in Hz
        ("delay_frames", _WORD),  # from the inputs to the outputs
        ("get_buffer", _WORD),  # addresses of jack_port_get_buffer,
        ("get_range", _WORD),  # jack_port_get_latency_range,
        ("set_range", _WORD),  # jack_port_set_latency_range
        ("is_connected", _WORD),  # and jack_port_connected
        ("waits", _WORD),  # 1 where latencies are passed on later, see `latency_callback`
        # told by Python
        ("running", _WORD),  # 1 where the callback is to be called; silence else
        # told by the thread of the cycles
        ("told_xruns", _WORD),  # how many xruns the callback was told
        ("misfits", _WORD),  # cycles of another length than a block
        # told by the thread of the notifications
        ("xruns", _WORD),  # counter
        ("graph_changes", _WORD),  # counter: ports, connections, latencies
        ("other_rate", _WORD),  # 1 where the server's rate is no longer `samplerate`
        ("ended", _WORD),  # 1 where the server has shut this client out
    ]
)
"""A client of JACK with one stream."""

_WORDS = JACK.itemsize // 8
_INT, _VOID, _FLAG, _FRAMES = types.int64, types.void, types.int32, types.uint32
_words: Any = types.UniTuple
_C_INT, _C_LONG, _C_NOTHING = ir.IntType(32), ir.IntType(64), ir.VoidType()


def _c_call(returns: ir.Type, *takes: ir.Type) -> Any:
    """Make a function that calls the C function at an address.

    It takes a tuple and returns a number, all words of 64 bits; C gets the lower bits of them.
    """

    def calling(_typing: Any, _address: Any, _given: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            kind = ir.FunctionType(returns, takes)
            function = builder.inttoptr(arguments[0], kind.as_pointer())
            given = [builder.extract_value(arguments[1], index) for index in range(len(takes))]
            words = [
                word if kind == _C_LONG else builder.trunc(word, kind)
                for word, kind in zip(given, takes, strict=True)
            ]
            result = builder.call(function, words)
            if returns == _C_NOTHING:
                return ir.Constant(_C_LONG, 0)
            return result if returns == _C_LONG else builder.sext(result, _C_LONG)

        return _INT(_INT, _words(_INT, len(takes))), generate

    return _numba.extending.intrinsic(calling)


_call_port_audio = _c_call(_C_INT, _C_LONG, _C_LONG, _C_LONG, _C_LONG, _C_LONG, _C_LONG)
_get_buffer = _c_call(_C_LONG, _C_LONG, _C_INT)
_with_range = _c_call(_C_NOTHING, _C_LONG, _C_INT, _C_LONG)
_is_connected = _c_call(_C_INT, _C_LONG)


@compiled(inlined=True)
def jack_at(address: int) -> Any:
    """The `JACK` at an address, as an array of one."""
    return int64_at(address, _WORDS).view(JACK)


@compiled(_VOID(_INT, _INT), inside=True)
def _take_in(address: int, frames: int) -> None:
    state = jack_at(address)[0]
    ports = int64_at(state.input_ports, state.inputs)
    block = float32_at(state.taken, frames, state.inputs)
    for number in range(state.inputs):
        samples = float32_at(_get_buffer(state.get_buffer, (ports[number], frames)), frames, 1)
        for frame in range(frames):
            block[frame, number] = samples[frame, 0]


@compiled(_VOID(_INT, _INT, types.boolean), inside=True)
def _play(address: int, frames: int, made: bool) -> None:
    """Give the block that was made to the ports, or else silence."""
    state = jack_at(address)[0]
    ports = int64_at(state.output_ports, state.outputs)
    block = float32_at(state.played, state.block_frames, state.outputs)
    for number in range(state.outputs):
        samples = float32_at(_get_buffer(state.get_buffer, (ports[number], frames)), frames, 1)
        if made:
            for frame in range(frames):
                samples[frame, 0] = block[frame, number]
        else:
            samples[:] = 0.0


@compiled(_VOID(_INT, _INT))
def process(address: int, frames: int) -> None:
    """Take in and play one cycle of ``frames``."""
    state = jack_at(address)[0]
    fits = frames == state.block_frames
    state.misfits += not fits
    made = fits and state.running != 0
    if made:
        flags = 0
        if state.told_xruns != state.xruns:  # one by one, so that each is counted
            state.told_xruns += 1
            flags = OUTPUT_UNDERFLOW if state.outputs != 0 else INPUT_OVERFLOW
        _take_in(address, frames)
        given = (state.taken, state.played, frames, state.times, flags, state.user_data)
        _call_port_audio(state.callback, given)
    _play(address, frames, made)


@compiled(_VOID(_INT, _INT), inside=True)
def pass_latencies_on(address: int, mode: int) -> None:
    """Tell JACK how late the sound of one side's ports is, from what it tells of the other side's.

    Ports that are not connected lead nowhere, so they do not count.
    """
    state = jack_at(address)[0]
    heard, told = state.input_ports, state.output_ports
    heard_count, told_count = state.inputs, state.outputs
    if mode == PLAYBACK_LATENCY:
        heard, told = told, heard
        heard_count, told_count = told_count, heard_count
    if heard_count == 0:
        return
    span = int64_at(state.range, 1).view(np.uint32)
    ports = int64_at(heard, heard_count)
    least = most = -1
    for number in range(heard_count):
        if _is_connected(state.is_connected, (ports[number],)) != 0:
            _with_range(state.get_range, (ports[number], mode, state.range))
            least = int(span[0]) if least < 0 else min(least, int(span[0]))
            most = max(most, int(span[1]))
    ports = int64_at(told, told_count)
    for number in range(told_count):
        span[0] = max(least, 0) + state.delay_frames
        span[1] = max(most, 0) + state.delay_frames
        _with_range(state.set_range, (ports[number], mode, state.range))


# What JACK is given


@c_function(_FLAG(_FRAMES, _INT))
def process_callback(frames: int, address: int) -> int:
    """JackProcessCallback."""
    process(address, int(frames))
    return 0


@c_function(_VOID(_FLAG, _INT))
def latency_callback(mode: int, address: int) -> None:
    """JackLatencyCallback.

    On PipeWire whoever looks at the changes passes them on. Its library has let go of its own lock
    here, and what is sent from here meets what other threads send (0.3.65: it aborts, or hangs).
    """
    state = jack_at(address)[0]
    if state.waits == 0:
        pass_latencies_on(address, int(mode))
    state.graph_changes += 1


@c_function(_FLAG(_INT))
def xrun_callback(address: int) -> int:
    """JackXRunCallback."""
    jack_at(address)[0].xruns += 1
    return 0


@c_function(_FLAG(_FRAMES, _INT))
def rate_callback(samplerate: int, address: int) -> int:
    """JackSampleRateCallback; it is called at once when it is set, too."""
    state = jack_at(address)[0]
    if int(samplerate) != state.samplerate:
        state.other_rate = 1
    return 0


@c_function(_VOID(_FRAMES, _FLAG, _INT))
def port_callback(_port: int, _registered: int, address: int) -> None:
    """JackPortRegistrationCallback."""
    jack_at(address)[0].graph_changes += 1


@c_function(_VOID(_FRAMES, _FRAMES, _FLAG, _INT))
def connection_callback(_source: int, _target: int, _connected: int, address: int) -> None:
    """JackPortConnectCallback."""
    jack_at(address)[0].graph_changes += 1


@c_function(_VOID(_INT))
def shutdown_callback(address: int) -> None:
    """JackShutdownCallback."""
    jack_at(address)[0].ended = 1
