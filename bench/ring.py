"""The ring against other ways to hand audio from one thread to another, in million frames a second.

`python bench/ring.py`. Stereo float32; each cell is the median of runs that take turns in one
process, and in brackets how many times faster the ring is. Three uses:

- one thread that writes a block and reads it back;
- two Python threads, a writer and a reader, each trying again (and giving the CPU away) when the
  other has nothing for it;
- one thread in compiled code, where a native callback would use it: no Python at all.

Rivals: PortAudio's ring (`pa_ringbuffer`, through the build in `rtmixer`), `queue.Queue` and
`collections.deque` with a lock, of copied blocks, and a ring of plain numpy under a lock.
"""

import collections
import ctypes
import os
import queue
import statistics
import threading
import time

import numpy as np
from numba import njit

from ringbuffer import Ring, ring_read, ring_write

CHANNELS = 2
CAPACITY_FRAMES = 16384
BLOCK_FRAMES = (64, 512, 4096)
RUNS = 7
RUN_SECONDS = 0.05


class QueueOfBlocks:
    """`queue.Queue` of copies; holds as many frames as the ring."""

    def __init__(self, block_frames):
        self.blocks = queue.Queue(CAPACITY_FRAMES // block_frames)

    def write(self, samples):
        """Put a copy, or nothing where full."""
        try:
            self.blocks.put_nowait(samples.copy())
        except queue.Full:
            return 0
        return len(samples)

    def read(self, out):
        """Fill `out` with a block, or not where empty."""
        try:
            out[:] = self.blocks.get_nowait()
        except queue.Empty:
            return 0
        return len(out)


class DequeOfBlocks:
    """`collections.deque` of copies under a lock; holds as many frames as the ring."""

    def __init__(self, block_frames):
        self.room = CAPACITY_FRAMES // block_frames
        self.blocks = collections.deque()
        self.lock = threading.Lock()

    def write(self, samples):
        """Put a copy, or nothing where full."""
        with self.lock:
            if len(self.blocks) == self.room:
                return 0
            self.blocks.append(samples.copy())
        return len(samples)

    def read(self, out):
        """Fill `out` with a block, or not where empty."""
        with self.lock:
            if not self.blocks:
                return 0
            out[:] = self.blocks.popleft()
        return len(out)


class NumpyRing:
    """A ring of plain numpy slices under a lock."""

    def __init__(self, _block_frames):
        self.data = np.zeros((CAPACITY_FRAMES, CHANNELS), np.float32)
        self.start = self.end = 0
        self.lock = threading.Lock()

    def write(self, samples):
        """Write what fits."""
        with self.lock:
            count = min(len(samples), CAPACITY_FRAMES - (self.end - self.start))
            slot = self.end % CAPACITY_FRAMES
            until_wrap = min(count, CAPACITY_FRAMES - slot)
            self.data[slot : slot + until_wrap] = samples[:until_wrap]
            self.data[: count - until_wrap] = samples[until_wrap:count]
            self.end += count
        return count

    def read(self, out):
        """Read what is there."""
        with self.lock:
            count = min(len(out), self.end - self.start)
            slot = self.start % CAPACITY_FRAMES
            until_wrap = min(count, CAPACITY_FRAMES - slot)
            out[:until_wrap] = self.data[slot : slot + until_wrap]
            out[until_wrap:count] = self.data[: count - until_wrap]
            self.start += count
        return count


def portaudio_ring():
    """The class of PortAudio's ring, its C library, and its cffi; None where not installed."""
    try:
        import pa_ringbuffer
        from _rtmixer import ffi, lib
    except ImportError:
        print("pa_ringbuffer is left out: pip install pa-ringbuffer rtmixer")
        return None
    base = pa_ringbuffer.init(ffi, lib)

    class PortAudioRing(base):
        def __init__(self, _block_frames):
            super().__init__(CHANNELS * 4, CAPACITY_FRAMES)
            self.read = self.readinto

    return PortAudioRing, ffi, lib


def one_thread(ring, block_frames, rounds):
    samples = np.ones((block_frames, CHANNELS), np.float32)
    out = np.empty_like(samples)
    write, read = ring.write, ring.read
    started = time.perf_counter()
    for _ in range(rounds):
        write(samples)
        read(out)
    return time.perf_counter() - started


def two_threads(ring, block_frames, rounds):
    total = block_frames * rounds

    def run(step):
        block = np.ones((block_frames, CHANNELS), np.float32)
        done = 0
        while done < total:
            count = step(block)
            if count == 0:
                os.sched_yield()
            done += count

    # Every ring holds a whole number of blocks, so no block is ever taken in part.
    writer = threading.Thread(target=run, args=(ring.write,))
    started = time.perf_counter()
    writer.start()
    run(ring.read)
    writer.join()
    return time.perf_counter() - started


@njit(nogil=True)
def compiled_rounds(header, data, samples, out, rounds):
    for _ in range(rounds):
        ring_write(header, data, samples)
        ring_read(header, data, out)


@njit(nogil=True)
def portaudio_rounds(write, read, ring, samples, out, frames, rounds):
    for _ in range(rounds):
        write(ring, samples, frames)
        read(ring, out, frames)


def compiled_ours(ring, block_frames, rounds):
    samples = np.ones((block_frames, CHANNELS), np.float32)
    out = np.empty_like(samples)
    started = time.perf_counter()
    compiled_rounds(ring.header, ring.data, samples, out, rounds)
    return time.perf_counter() - started


def compiled_portaudio(ffi, lib):
    def function(name):
        prototype = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long)
        return prototype(int(ffi.cast("intptr_t", ffi.addressof(lib, name))))

    write, read = function("PaUtil_WriteRingBuffer"), function("PaUtil_ReadRingBuffer")

    def measure(ring, block_frames, rounds):
        samples = np.ones((block_frames, CHANNELS), np.float32)
        out = np.empty_like(samples)
        handle = int(ffi.cast("intptr_t", ring._ptr))
        started = time.perf_counter()
        portaudio_rounds(
            write, read, handle, samples.ctypes.data, out.ctypes.data, block_frames, rounds
        )
        return time.perf_counter() - started

    return measure


def frames_per_second(measurements, block_frames):
    """The median of each (make, measure), the runs taking turns."""
    rings = {name: make(block_frames) for name, (make, _) in measurements.items()}
    rounds, speeds = {}, {name: [] for name in measurements}
    for name, (_, measure) in measurements.items():
        measure(rings[name], block_frames, 10)
        trial = measure(rings[name], block_frames, 1000)
        rounds[name] = max(1000, int(1000 * RUN_SECONDS / trial))
    for _ in range(RUNS):
        for name, (_, measure) in measurements.items():
            seconds = measure(rings[name], block_frames, rounds[name])
            speeds[name].append(block_frames * rounds[name] / seconds)
    return {name: statistics.median(each) for name, each in speeds.items()}


def print_table(title, measurements):
    columns = [frames_per_second(measurements, frames) for frames in BLOCK_FRAMES]
    print(f"\n{title}")
    heads = "".join(f"{f'{frames} frames':>20}" for frames in BLOCK_FRAMES)
    print(f"{'':<16}{heads}")
    for name in measurements:
        cells = ""
        for column in columns:
            ratio = "" if name == "ringbuffer" else f"({column['ringbuffer'] / column[name]:.2f}x)"
            cells += f"{column[name] / 1e6:>11.1f}{ratio:>9}"
        print(f"{name:<16}{cells}")


def main():
    portaudio = portaudio_ring()
    makes = {"ringbuffer": lambda _frames: Ring(CAPACITY_FRAMES, CHANNELS)}
    compiled = {"ringbuffer": (makes["ringbuffer"], compiled_ours)}
    if portaudio:
        ring_class, ffi, lib = portaudio
        makes["pa_ringbuffer"] = ring_class
        compiled["pa_ringbuffer"] = (ring_class, compiled_portaudio(ffi, lib))
    makes |= {"queue.Queue": QueueOfBlocks, "deque + lock": DequeOfBlocks}
    makes["numpy + lock"] = NumpyRing

    print("million stereo frames a second; in brackets, how many times faster ringbuffer is")
    for title, measure in (
        ("Python, one thread: write a block, read it back", one_thread),
        ("Python, two threads: a writer and a reader", two_threads),
    ):
        print_table(title, {name: (make, measure) for name, make in makes.items()})
    print_table("compiled code, one thread: write a block, read it back", compiled)


if __name__ == "__main__":
    main()
