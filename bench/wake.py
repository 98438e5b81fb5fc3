"""How soon a hop's thread sees that a block is there: by a sleep of 0.1 ms, or by a semaphore.

`python bench/wake.py [--seconds 20]`. Linux alone. One thread is the device: every block of 64
frames it writes down the time, as a capture callback does, and posts the semaphore. The other is
that of the hops. Both are compiled, and real-time where that is granted. Each way is measured alone
and beside a process that keeps one core busy, in turn.

A table in microseconds: from the callback to the moment when the other thread goes on; what the
callback itself spends; and how much of a core the waiting thread takes.
"""

import argparse
import ctypes
import multiprocessing
import threading
import time

import numba
import numpy as np
from numba import types

from ringbuffer.atomics import load_acquire, store_release
from streamer.live.realtime import priority
from streamer.live.realtime.callbacks import seconds_now
from streamer.live.realtime.hop_loop import SLEEP_MICROSECONDS

BLOCK_SECONDS = 64 / 44100
SEMAPHORE_BYTES = 32

_usleep = types.ExternalFunction("usleep", types.int32(types.uint32))
_post = types.ExternalFunction("sem_post", types.int32(types.int64))
_wait = types.ExternalFunction("sem_wait", types.int32(types.int64))


@numba.njit(nogil=True)
def be_device(blocks, written, began, spent, semaphore, clock):
    """Write down a time each block; ``semaphore`` 0: nobody is woken."""
    due = seconds_now(clock, 1, 0)
    for block in range(blocks):
        due += BLOCK_SECONDS
        left = due - seconds_now(clock, 1, 0)
        if left > 0:
            _usleep(np.uint32(left * 1e6))
        began[block] = seconds_now(clock, 1, 0)
        store_release(written, block + 1)
        if semaphore != 0:
            _post(semaphore)
        spent[block] = seconds_now(clock, 1, 0) - began[block]


@numba.njit(nogil=True)
def be_hops(blocks, written, began, late, semaphore, clock):
    """Note how long after each block this thread goes on."""
    seen = 0
    while seen < blocks:
        there = load_acquire(written)
        now = seconds_now(clock, 1, 0)
        while seen < there:
            late[seen] = now - began[seen]
            seen += 1
        if seen < blocks:
            if semaphore != 0:
                _wait(semaphore)
            else:
                _usleep(np.uint32(SLEEP_MICROSECONDS))


def measure(way, seconds):
    """Return lateness and the callback's time of each block, and the share of a core."""
    blocks = round(seconds / BLOCK_SECONDS)
    words, clocks = np.zeros(8, np.int64), np.zeros((2, 2), np.int64)
    began, spent, late = (np.zeros(blocks) for _ in range(3))
    semaphore = np.zeros(SEMAPHORE_BYTES, np.uint8)
    address = 0
    if way == "semaphore":
        address = semaphore.ctypes.data
        assert ctypes.CDLL(None).sem_init(ctypes.c_void_p(address), 0, 0) == 0
    shares = []

    def hops():
        priority.ask()
        be_hops(blocks, words.ctypes.data, began, late, address, clocks[0].ctypes.data)
        shares.append(time.thread_time() / seconds)

    def device():
        priority.ask()
        be_device(blocks, words.ctypes.data, began, spent, address, clocks[1].ctypes.data)

    threads = [threading.Thread(target=one) for one in (hops, device)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return late, spent, shares[0]


def keep_busy():
    """Take all of a core."""
    while True:
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each way and load")
    seconds = parser.parse_args().seconds
    print(f"real-time priority: {'granted' if priority.is_granted() else 'not granted'}")
    print("| beside it | waits by | p50 | p99 | p99.9 | worst | callback p50 | p99 | of a core |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for way in ("sleep", "semaphore"):
        measure(way, 0.1)  # compiles
    for load in ("nothing", "one busy core"):
        other = multiprocessing.Process(target=keep_busy, daemon=True)
        if load != "nothing":
            other.start()
        for _ in range(2):
            for way in ("sleep", "semaphore"):
                late, spent, share = measure(way, seconds)
                numbers = [
                    *np.quantile(late, [0.5, 0.99, 0.999, 1]),
                    *np.quantile(spent, [0.5, 0.99]),
                ]
                told = " | ".join(f"{1e6 * one:.1f}" for one in numbers)
                print(f"| {load} | {way} | {told} | {share:.1%} |", flush=True)
        if load != "nothing":
            other.terminate()
            other.join()


if __name__ == "__main__":
    main()
