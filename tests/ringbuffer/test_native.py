"""The ring in compiled code: from Numba functions, by address from C, and what LLVM makes of it."""

import re
import threading

import numpy as np
import pytest
from numba import cfunc, njit, types

from ringbuffer import (
    Ring,
    float32_at,
    int64_at,
    ring_end,
    ring_end_at,
    ring_peek,
    ring_peek_at,
    ring_read,
    ring_read_at,
    ring_readable,
    ring_readable_at,
    ring_release,
    ring_release_at,
    ring_reset,
    ring_start,
    ring_start_at,
    ring_writable,
    ring_writable_at,
    ring_write,
    ring_write_at,
)
from ringbuffer.compiled import compiled


@njit
def through_arrays(header, data, samples, out):
    ring_reset(header, 100)
    written = ring_write(header, data, samples)
    peeked = ring_peek(header, data, 102, out)
    ring_release(header, 101)
    got = ring_read(header, data, out)
    counts = (ring_start(header), ring_end(header), ring_readable(header), ring_writable(header))
    return (written, peeked, got, *counts)


@njit
def through_addresses(header, data, samples, frames, out):
    written = ring_write_at(header, data, samples, frames)
    peeked = ring_peek_at(header, data, 102, out, 3)
    ring_release_at(header, 101)
    released = ring_peek_at(header, data, 100, out, 3)
    got = ring_read_at(header, data, out, 3)
    counts = (
        ring_start_at(header),
        ring_end_at(header),
        ring_readable_at(header),
        ring_writable_at(header),
    )
    return (written, peeked, released, got, *counts)


def test_the_ring_is_usable_from_compiled_code():
    ring = Ring(6, 2)
    samples = np.arange(20, dtype=np.float32).reshape(10, 2)
    out = np.zeros((3, 2), np.float32)
    assert through_arrays(ring.header, ring.data, samples, out) == (6, 3, 3, 104, 106, 2, 4)
    assert np.array_equal(out, samples[1:4])


def test_the_ring_is_usable_by_address():
    ring = Ring(6, 2)
    ring.reset(100)
    samples = np.arange(20, dtype=np.float32).reshape(10, 2)
    out = np.zeros((3, 2), np.float32)
    addresses = (ring.header_address, ring.data_address, samples.ctypes.data)
    counts = through_addresses(*addresses, 10, out.ctypes.data)
    assert counts == (6, 3, -1, 3, 104, 106, 2, 4)
    assert np.array_equal(out, samples[1:4])
    assert ring_write_at(*addresses, -1) == 0


def test_mistakes_in_compiled_code_are_errors():
    ring = Ring(6, 2)
    mono = np.zeros((3, 1), np.float32)
    with pytest.raises(ValueError, match="number of channels"):
        ring_write(ring.header, ring.data, mono)
    with pytest.raises(ValueError, match="number of channels"):
        ring_read(ring.header, ring.data, mono)
    with pytest.raises(ValueError, match="number of channels"):
        ring_peek(ring.header, ring.data, 0, mono)
    with pytest.raises(ValueError, match="not yet released"):
        ring_peek(ring.header, ring.data, -1, np.zeros((3, 2), np.float32))
    with pytest.raises(TypeError):
        ring_write(ring.header, ring.data, np.zeros((3, 2)))


# The signature of PortAudio's PaStreamCallback, its pointers taken as addresses.
PORTAUDIO = types.int32(types.intp, types.intp, types.uint64, types.intp, types.uint64, types.intp)


@cfunc(PORTAUDIO)
def duplex_callback(input_address, output_address, frames, time_info, flags, user_data):
    capture_header, capture_data, play_header, play_data, shortfalls = int64_at(user_data, 5)
    ring_write_at(capture_header, capture_data, input_address, frames)
    got = ring_read_at(play_header, play_data, output_address, frames)
    output = float32_at(output_address, np.int64(frames), 2)
    output[got:] = 0.0
    int64_at(shortfalls, 1)[0] += np.int64(frames) - got
    return 0


def test_a_c_callback_on_a_thread_of_its_own_uses_two_rings():
    """A device that hands over odd blocks; Python echoes capture to playback with half the gain."""
    blocks, block_frames = 400, 37
    total = blocks * block_frames
    capture, play = Ring(512, 2), Ring(512, 2)
    shortfalls = np.zeros(1, np.int64)
    user_data = np.array(
        [
            capture.header_address,
            capture.data_address,
            play.header_address,
            play.data_address,
            shortfalls.ctypes.data,
        ],
        np.int64,
    )
    device_in = np.arange(total * 2, dtype=np.float32).reshape(total, 2)
    device_out = np.full((total, 2), np.nan, np.float32)
    turn = threading.Barrier(2, timeout=60)

    def device():
        for start in range(0, total, block_frames):
            into = device_in[start:].ctypes.data
            out = device_out[start:].ctypes.data
            duplex_callback.ctypes(into, out, block_frames, 0, 0, user_data.ctypes.data)
            turn.wait()
            turn.wait()

    thread = threading.Thread(target=device)
    thread.start()
    block = np.empty((block_frames, 2), np.float32)
    for _ in range(blocks):
        turn.wait()
        assert capture.read(block) == block_frames
        assert play.write(block * np.float32(0.5)) == block_frames
        turn.wait()
    thread.join()

    assert shortfalls[0] == block_frames
    assert not device_out[:block_frames].any()
    assert np.array_equal(device_out[block_frames:], device_in[:-block_frames] * np.float32(0.5))


def llvm_of(function):
    (signature,) = function.signatures
    again = njit(signature, error_model="numpy", _nrt=False)(function.py_func)
    return again.inspect_llvm(signature)


def test_the_writer_copies_samples_between_an_acquire_and_a_release():
    # On x86 every load and store is ordered anyway, so a ramp there cannot miss what this sees.
    code = llvm_of(ring_write_at)
    acquire = re.search(r"load atomic i64, .* acquire, align 8", code)
    release = re.search(r"store atomic i64 .* release, align 8", code)
    copies = [copy.start() for copy in re.finditer(r"call void @llvm\.memcpy", code)]
    assert acquire
    assert release
    assert len(copies) == 2
    assert acquire.start() < min(copies)
    assert max(copies) < release.start()


def test_the_reader_copies_samples_between_an_acquire_and_a_release():
    code = llvm_of(ring_read_at)
    copies = [copy.start() for copy in re.finditer(r"call void @llvm\.memcpy", code)]
    acquires = [load.start() for load in re.finditer(r"load atomic i64, .* acquire", code)]
    release = re.search(r"store atomic i64 .* release, align 8", code)
    assert len(copies) == 2
    assert release
    assert min(acquires) < min(copies)
    assert max(copies) < release.start()


def test_code_without_a_place_for_its_cache_still_compiles():
    names = {}
    exec("def twice(number): return 2 * number", names)
    assert compiled(types.int64(types.int64))(names["twice"])(21) == 42
