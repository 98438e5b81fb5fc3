"""A ring in shared memory: attaching, closing, removing, and leaving nothing behind."""

import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest

import ringbuffer
from ringbuffer import SharedRing

BLOCK = np.arange(12, dtype=np.float32).reshape(6, 2)


def run_python(code):
    """Run code in a process of its own; its standard error stays open until its trackers end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": str(Path(ringbuffer.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_what_one_writes_the_other_reads():
    with SharedRing.create(4, 2) as writer, SharedRing.attach(writer.name) as reader:
        assert (reader.capacity_frames, reader.channels) == (4, 2)
        assert writer.write(BLOCK) == 4
        out = np.zeros((3, 2), np.float32)
        assert reader.read(out) == 3
        assert np.array_equal(out, BLOCK[:3])
        assert (writer.start_frame, writer.end_frame) == (3, 4)
        assert writer.header_address % 128 == 0


def test_a_ring_goes_to_a_spawned_process():
    with SharedRing.create(8, 2) as ring:
        # SharedRing.write is itself what the other process runs: the ring is pickled on its way.
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=SharedRing.write, args=(ring, BLOCK))
        process.start()
        process.join(120)
        assert process.exitcode == 0
        out = np.zeros((6, 2), np.float32)
        assert ring.read(out) == 6
        assert np.array_equal(out, BLOCK)


def test_a_pickled_ring_is_the_same_ring():
    with SharedRing.create(8, 2) as ring, pickle.loads(pickle.dumps(ring)) as other:
        ring.write(BLOCK)
        assert other.readable_frames == 6


def test_leaving_removes_the_name():
    with SharedRing.create(8, 2) as ring:
        name = ring.name
    with pytest.raises(FileNotFoundError):
        SharedRing.attach(name)


def test_one_that_attached_does_not_remove_the_name():
    with SharedRing.create(8, 2) as ring:
        with SharedRing.attach(ring.name) as other:
            other.unlink()
        with SharedRing.attach(ring.name) as another:
            assert another.writable_frames == 8


def test_closing_and_unlinking_twice_is_fine():
    ring = SharedRing.create(8, 2)
    for _ in range(2):
        ring.close()
        ring.unlink()


def test_a_closed_ring_says_so():
    with SharedRing.create(8, 2) as ring:
        pass
    for call in (
        lambda: ring.write(BLOCK),
        lambda: ring.read(BLOCK.copy()),
        lambda: ring.peek(0, BLOCK.copy()),
        lambda: ring.release(1),
        lambda: ring.reset(),
        lambda: ring.end_frame,
        lambda: ring.readable_frames,
        lambda: ring.data_address,
    ):
        with pytest.raises(ValueError, match="expected an open ring, got the closed ring"):
            call()
    with pytest.raises(AttributeError, match="no attribute 'tail_frame'"):
        _ = ring.tail_frame


def test_arrays_outlive_the_ring_they_came_from():
    with SharedRing.create(8, 2) as ring:
        ring.write(BLOCK)
        data = ring.data
    del ring
    gc.collect()
    assert np.array_equal(data[:12].reshape(6, 2), BLOCK)


def test_a_name_of_ones_own():
    name = f"stem-{os.getpid()}"
    with SharedRing.create(8, 2, name=name) as ring:
        assert ring.name == name
        with pytest.raises(FileExistsError):
            SharedRing.create(8, 2, name=name)


def test_other_memory_is_no_ring():
    for size in (8, 65536):
        segment = SharedMemory(create=True, size=size)
        try:
            with pytest.raises(ValueError, match="to hold a ring, got other bytes"):
                SharedRing.attach(segment.name)
        finally:
            segment.close()
            segment.unlink()


def test_another_users_ring_is_refused():
    if os.geteuid() != 0:
        pytest.skip("needs root, to give shared memory away")
    with SharedRing.create(8, 2) as ring:
        os.chown(f"/dev/shm/{ring.name}", 12345, 12345)
        with pytest.raises(PermissionError, match="shared memory of one's own"):
            SharedRing.attach(ring.name)


def test_a_ring_that_does_not_fit_is_refused_and_leaves_nothing():
    name = f"stem-{os.getpid()}-large"
    with pytest.raises(OSError, match=r"No space left|File too large|Cannot allocate"):
        SharedRing.create(2**38, 2, name=name)
    with pytest.raises(FileNotFoundError):
        SharedRing.attach(name)
    with pytest.raises(ValueError, match="capacity_frames of at least 1, got 0"):
        SharedRing.create(0, 2)


def test_a_process_that_only_attaches_leaves_the_ring_and_says_nothing():
    with SharedRing.create(8, 2) as ring:
        code = f"import ringbuffer; ringbuffer.SharedRing.attach({ring.name!r}).reset(5)"
        ended = run_python(code)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ring.end_frame == 5
        with SharedRing.attach(ring.name) as again:
            assert again.end_frame == 5


def test_a_process_that_creates_leaves_nothing_and_says_nothing():
    ended = run_python(
        "from ringbuffer import SharedRing\nwith SharedRing.create(8, 2) as ring: print(ring.name)"
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    with pytest.raises(FileNotFoundError):
        SharedRing.attach(ended.stdout.strip())


def test_the_memory_of_a_process_that_died_is_removed():
    ended = run_python(
        "import os, ringbuffer\n"
        "print(ringbuffer.SharedRing.create(8, 2).name, flush=True)\n"
        "os._exit(3)"
    )
    assert ended.returncode == 3
    with pytest.raises(FileNotFoundError):
        SharedRing.attach(ended.stdout.strip())
