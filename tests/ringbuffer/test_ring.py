"""`Ring` from Python: counts, absolute positions, and words for bad arguments."""

import numpy as np
import pytest

import ringbuffer
from ringbuffer import Ring


def ramp(start, frames, channels=2):
    """Every sample of every frame is different, and exact in float32."""
    positions = np.arange(start, start + frames)[:, None] * channels + np.arange(channels)
    return positions.astype(np.float32)


def empty(frames, channels=2):
    return np.full((frames, channels), np.nan, np.float32)


def test_what_is_exported_is_what_all_says():
    exported = [name for members in ringbuffer._HOMES.values() for name in members]
    assert sorted(exported) == sorted(ringbuffer.__all__)
    assert all(getattr(ringbuffer, name).__doc__ for name in ringbuffer.__all__)


def test_a_new_ring_is_empty():
    ring = Ring(5, 3)
    assert (ring.capacity_frames, ring.channels) == (5, 3)
    assert (ring.start_frame, ring.end_frame) == (0, 0)
    assert (ring.readable_frames, ring.writable_frames) == (0, 5)
    assert ring.read(empty(4, 3)) == 0
    assert repr(ring) == "Ring(5 frames, 3 channels)"


def test_write_takes_what_fits_and_read_gives_what_is_there():
    ring = Ring(5, 2)
    assert ring.write(ramp(0, 3)) == 3
    assert ring.write(ramp(3, 4)) == 2
    assert ring.write(ramp(5, 1)) == 0
    out = empty(7)
    assert ring.read(out) == 5
    assert np.array_equal(out[:5], ramp(0, 5))
    assert np.isnan(out[5:]).all()
    assert (ring.start_frame, ring.end_frame) == (5, 5)


def test_overlapped_windows_are_peeked_at_absolute_positions():
    ring = Ring(10, 2)
    window_frames, hop_frames = 7, 3
    window_start, written = 0, 0
    window = empty(window_frames)
    while window_start < 60:
        written += ring.write(ramp(written, 4))
        if ring.peek(window_start, window) == window_frames:
            assert np.array_equal(window, ramp(window_start, window_frames))
            window_start += hop_frames
            ring.release(window_start)
            assert ring.start_frame == window_start


def test_peek_past_the_end_finds_what_is_there():
    ring = Ring(8, 1)
    ring.write(ramp(0, 6, 1))
    out = empty(4, 1)
    assert ring.peek(4, out) == 2
    assert np.array_equal(out[:2], ramp(4, 2, 1))
    assert ring.peek(6, out) == 0
    assert ring.peek(1000, out) == 0
    assert ring.readable_frames == 6


def test_release_never_goes_back_and_never_past_the_end():
    ring = Ring(8, 2)
    ring.write(ramp(0, 6))
    ring.release(4)
    ring.release(1)
    assert ring.start_frame == 4
    ring.release(100)
    assert (ring.start_frame, ring.readable_frames, ring.writable_frames) == (6, 0, 8)


def test_peek_before_the_first_frame_held_is_refused():
    ring = Ring(8, 2)
    ring.write(ramp(0, 6))
    ring.release(4)
    with pytest.raises(ValueError, match=r"expected start_frame of at least 4, .* got 3"):
        ring.peek(3, empty(2))


def test_reset_empties_and_sets_the_next_position():
    ring = Ring(8, 2)
    ring.write(ramp(0, 6))
    ring.reset()
    assert (ring.start_frame, ring.end_frame, ring.writable_frames) == (0, 0, 8)
    ring.reset(2**62 + 5)
    ring.write(ramp(0, 8))
    out = empty(8)
    assert ring.peek(2**62 + 5, out) == 8
    assert np.array_equal(out, ramp(0, 8))
    with pytest.raises(ValueError, match="expected start_frame of at least 0, got -1"):
        ring.reset(-1)


def test_empty_blocks_are_fine():
    ring = Ring(3, 2)
    assert ring.write(empty(0)) == 0
    assert ring.read(empty(0)) == 0
    assert ring.peek(0, empty(0)) == 0


def test_write_copies_a_strided_view_and_takes_a_read_only_array():
    ring = Ring(16, 2)
    samples = ramp(0, 4, 6)
    samples.flags.writeable = False
    assert ring.write(samples[:, 1::3]) == 4
    assert ring.write(np.asfortranarray(ramp(0, 4))) == 4
    block = ramp(7, 4)
    block.flags.writeable = False
    assert ring.write(block) == 4
    out = empty(12)
    ring.read(out)
    assert np.array_equal(out, np.concatenate([samples[:, 1::3], ramp(0, 4), ramp(7, 4)]))


@pytest.mark.parametrize(
    ("samples", "error", "words"),
    [
        ([[0.0, 0.0]], TypeError, "float32 array, got list"),
        (None, TypeError, "float32 array, got NoneType"),
        (np.zeros((3, 2)), TypeError, "float32, got float64"),
        (np.zeros((3, 2), ">f4"), TypeError, "float32, got >f4"),
        (np.zeros((3, 2), np.int16), TypeError, "float32, got int16"),
        (np.zeros((3, 1), np.float32), ValueError, r"\(frames, 2\), got \(3, 1\)"),
        (np.zeros(6, np.float32), ValueError, r"\(frames, 2\), got \(6,\)"),
        (np.zeros((1, 3, 2), np.float32), ValueError, r"\(frames, 2\), got \(1, 3, 2\)"),
    ],
)
def test_a_wrong_array_is_refused(samples, error, words):
    ring = Ring(8, 2)
    ring.write(ramp(0, 4))
    calls = {
        "samples": [ring.write],
        "out": [ring.read, lambda out: ring.peek(0, out)],
    }
    for name, refusing in calls.items():
        for call in refusing:
            with pytest.raises(error, match=f"expected {name} .*{words}"):
                call(samples)
    assert (ring.start_frame, ring.end_frame) == (0, 4)


def test_an_output_that_cannot_be_filled_is_refused():
    ring = Ring(8, 2)
    ring.write(ramp(0, 4))
    frozen = empty(4)
    frozen.flags.writeable = False
    unaligned = np.zeros(33, np.uint8)[1:].view(np.float32).reshape(4, 2)
    for out, flag in ((frozen, "WRITEABLE"), (empty(4, 4)[:, :2], "C_CONTIGUOUS")):
        with pytest.raises(ValueError, match=f"expected out to be {flag}"):
            ring.read(out)
        with pytest.raises(ValueError, match=f"expected out to be {flag}"):
            ring.peek(0, out)
    with pytest.raises(ValueError, match="expected out to be ALIGNED"):
        ring.read(unaligned)
    assert ring.write(unaligned) == 4


@pytest.mark.parametrize(
    ("capacity_frames", "channels", "words"),
    [
        (0, 2, "capacity_frames of at least 1, got 0"),
        (-4, 2, "capacity_frames of at least 1, got -4"),
        (8, 0, "channels of at least 1, got 0"),
    ],
)
def test_a_ring_needs_room(capacity_frames, channels, words):
    with pytest.raises(ValueError, match=words):
        Ring(capacity_frames, channels)


def test_a_size_is_a_whole_number():
    with pytest.raises(TypeError):
        Ring(8.5, 2)
    assert Ring(np.int64(8), np.int32(2)).writable_frames == 8


def test_the_two_counters_lie_on_cache_lines_of_their_own():
    ring = Ring(7, 2)
    ring.reset(2**40 + 1)
    ring.write(ramp(0, 5))
    (start,) = np.flatnonzero(ring.header == 2**40 + 1) * 8
    (end,) = np.flatnonzero(ring.header == 2**40 + 6) * 8
    assert ring.header_address % 128 == 0
    assert start // 128 != end // 128
    assert 0 not in (start // 128, end // 128)
