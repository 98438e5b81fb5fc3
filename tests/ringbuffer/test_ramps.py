"""A counting ramp of 10^7 frames from one thread or process to another: none lost, none torn.

Run as a script with the name of a shared ring, this file is the writing process.
"""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numba import njit

import ringbuffer
from ringbuffer import Ring, SharedRing, ring_end, ring_peek, ring_read, ring_release, ring_write

TOTAL_FRAMES = 10_000_000
CHANNELS = 3
IDLE_TURNS = 300
# Against a hang only: each ramp takes a second or so.
GIVE_UP_SECONDS = 120.0


@njit(nogil=True)
def fill(block, frame):
    # A frame number below 2^24, scaled by a power of two, is exact in float32.
    for index in range(block.shape[0]):
        value = np.float32(frame + index)
        for channel in range(block.shape[1]):
            block[index, channel] = value
            value *= np.float32(0.5)


@njit(nogil=True)
def first_wrong(block, frame):
    """The first frame that is not what `fill` makes it, or -1."""
    for index in range(block.shape[0]):
        value = np.float32(frame + index)
        for channel in range(block.shape[1]):
            if block[index, channel] != value:
                return frame + index
            value *= np.float32(0.5)
    return -1


@njit(nogil=True)
def write_ramp(header, data, frame, total, block):
    """Write until done, or until the ring stays full; return the next frame to write."""
    idle = 0
    while frame < total and idle < IDLE_TURNS:
        frames = min(1 + frame * 7 % block.shape[0], total - frame)
        fill(block[:frames], frame)
        written = ring_write(header, data, block[:frames])
        frame += written
        idle = 0 if written else idle + 1
    return frame


@njit(nogil=True)
def check_ramp(header, data, frame, total, block):
    """Read until done, or until the ring stays empty; return the next frame to read.

    A frame that is not the expected one comes back as -1 - frame.
    """
    idle = 0
    while frame < total and idle < IDLE_TURNS:
        # The newest frame first: it is the last one copied, so it shows a counter that ran ahead.
        newest = ring_end(header) - 1
        if newest >= frame:
            ring_peek(header, data, newest, block[:1])
            if first_wrong(block[:1], newest) >= 0:
                return -1 - newest
        wanted = 1 + frame * 11 % block.shape[0]
        by_peek = wanted % 2 == 0
        if by_peek:
            got = ring_peek(header, data, frame, block[:wanted])
        else:
            got = ring_read(header, data, block[:wanted])
        wrong = first_wrong(block[:got], frame)
        if wrong >= 0:
            return -1 - wrong
        frame += got
        if by_peek:
            ring_release(header, frame)
        idle = 0 if got else idle + 1
    return frame


def run_side(step, ring, block_frames, total=TOTAL_FRAMES, alive=lambda: True):
    """Drive one side, giving the CPU away while the other has nothing for it."""
    block = np.zeros((block_frames, CHANNELS), np.float32)
    frame, give_up = 0, time.monotonic() + GIVE_UP_SECONDS
    while 0 <= frame < total:
        before = frame
        frame = step(ring.header, ring.data, frame, total, block)
        if frame == before:
            assert time.monotonic() < give_up, f"stalled at frame {frame}"
            assert alive(), f"the other side ended at frame {frame}"
        os.sched_yield()
    return frame


@pytest.mark.parametrize(
    ("capacity_frames", "block_frames", "total"),
    # The small ring is full or empty at nearly every call, and takes a part of nearly every block.
    [(4093, 997, TOTAL_FRAMES), (13, 11, TOTAL_FRAMES // 20)],
)
def test_two_threads_lose_no_frame(capacity_frames, block_frames, total):
    ring = Ring(capacity_frames, CHANNELS)
    results = {}

    def write():
        results["written"] = run_side(write_ramp, ring, block_frames, total)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    read = run_side(
        check_ramp, ring, block_frames + 12, total, lambda: writer.is_alive() or results
    )
    writer.join()
    assert (results["written"], read) == (total, total)
    assert (ring.start_frame, ring.end_frame) == (total, total)


def test_two_processes_lose_no_frame():
    with SharedRing.create(4093, CHANNELS) as ring:
        command = [sys.executable, "-W", "error", str(Path(__file__)), ring.name]
        packages = str(Path(ringbuffer.__file__).parents[1])
        writer = subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": packages},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            read = run_side(check_ramp, ring, 1009, alive=lambda: writer.poll() in (None, 0))
            output, errors = writer.communicate(timeout=GIVE_UP_SECONDS)
        finally:
            writer.kill()
            writer.wait()
        assert (output, errors, writer.returncode) == (f"{TOTAL_FRAMES}\n", "", 0)
        assert read == TOTAL_FRAMES
        # The process that attached has ended; the ring is still its creator's.
        with SharedRing.attach(ring.name) as again:
            assert again.end_frame == TOTAL_FRAMES


if __name__ == "__main__":
    with SharedRing.attach(sys.argv[1]) as shared:
        sys.stdout.write(f"{run_side(write_ramp, shared, 997)}\n")
