"""Windows that go through the model together: which ones, and that nobody hears it."""

from __future__ import annotations

import threading
import weakref
from contextlib import closing

import numpy as np
import pytest
import soundfile
from support.doubles import RATE, RecordingSeparator, SmallDevice, bag_of, noise, tiny

from streamer import ModelError, Processor, Settings
from streamer.audio import Samples
from streamer.engine import separate_track
from streamer.models.backends.sparing import SparingSeparator
from streamer.models.separator import WHOLE, Bag, Member
from streamer.pipeline.schedule import Schedule
from streamer.pipeline.windows import Window
from streamer.pipeline.worker import Worker


def window(index: int, frames: int = 5) -> Window:
    schedule = Schedule(1, 1, np.ones(1, "f4"))
    return Window(0, index, 1, 0, np.full((frames, 1), index, "f4"), schedule)


class Network:
    """Gives windows back as they are, when its gate is open, and tells what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.gate = threading.Event()

    def __call__(self, windows):
        self.gate.wait()
        self.calls.append([one.start_frame for one in windows])
        return [one.data for one in windows]


@pytest.mark.parametrize("jobs", [1, 2])
def test_windows_of_one_network_go_through_it_together(jobs):
    one, other = Network(), Network()
    one.gate.set()
    other.gate.set()
    with closing(Worker(jobs, batch=3)) as worker:
        for index in range(7):
            worker.submit(window(index), one)
            if index % 2:
                worker.submit(window(index), other)
        done = list(worker.finished(wait=True))
    assert sorted(one.calls) == [[0, 1, 2], [3, 4, 5], [6]]
    assert other.calls == [[1, 3, 5]]
    assert [job.window.start_frame for job in done] == [0, 1, 1, 2, 3, 3, 4, 5, 5, 6]
    assert all(np.all(job.stems == job.window.start_frame) for job in done)


def test_stems_that_were_taken_are_not_held():
    given = []
    with closing(Worker(1)) as worker:
        for index in range(3):
            worker.submit(window(index), lambda windows: [one.data + 1 for one in windows])
        for job in worker.finished(wait=True):
            given.append(weakref.ref(job.stems))
            del job
    assert [stems() for stems in given] == [None] * 3


def test_a_window_of_another_length_begins_another_batch():
    network = Network()
    network.gate.set()
    with closing(Worker(1, batch=4)) as worker:
        for index, frames in enumerate([5, 5, 4, 4, 5]):
            worker.submit(window(index, frames), network)
        done = list(worker.finished(wait=True))
    assert network.calls == [[0, 1], [2, 3], [4]]
    assert [job.window.start_frame for job in done] == [0, 1, 2, 3, 4]


def test_one_batch_is_computed_one_waits_and_one_fills():
    network, submitted, held = Network(), [], threading.Event()

    def submit() -> None:
        for index in range(20):
            if index == 4 + 4 + 3:
                held.set()
            worker.submit(window(index), network)
            submitted.append(index)

    with closing(Worker(1, batch=4)) as worker:
        producer = threading.Thread(target=submit)
        producer.start()
        held.wait()
        producer.join(0.2)
        waiting = len(submitted)
        network.gate.set()
        producer.join()
        assert len(list(worker.finished(wait=True))) == 20
    assert waiting == 4 + 4 + 3


def test_what_has_not_begun_is_dropped_at_the_end():
    network = Network()
    with closing(Worker(1, batch=2)) as worker:
        for index in range(5):
            worker.submit(window(index), network)
        network.gate.set()
    assert network.calls in ([], [[0, 1]], [[0, 1], [2, 3]])


def separated(bag: Bag, mix: Samples, *, jobs: int = 1, batch: int = 1, **options) -> Samples:
    with Processor(Settings(**options), bag=bag, jobs=jobs, batch=batch) as processor:
        processor.prepare(bag.samplerate, len(mix), mix.shape[1])
        parts = [stems.data for stems in processor.feed(mix) + processor.flush()]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("kind", ["htdemucs", "demucs"])
@pytest.mark.parametrize("batch", [2, 5])
def test_a_batch_gives_what_single_windows_give(kind, batch):
    bag = bag_of([tiny(), tiny(kind, seed=1)], [[1, 0, 1, 1], [1, 1, 0.5, 1]])
    mix = noise(3 * RATE + 77)
    single = separated(bag, mix, jobs=0, shifts=3)
    np.testing.assert_array_equal(separated(bag, mix, shifts=3), single)
    together = separated(bag, mix, shifts=3, batch=batch)
    assert np.abs(together - single).max() <= 1e-5
    again = separated(bag, mix, jobs=2, shifts=3, batch=batch)
    np.testing.assert_array_equal(again, together)


class CountingSeparator(RecordingSeparator):
    """It wants every window at full length, and keeps how many it was shown at a time."""

    def __init__(self, window_frames: int) -> None:
        super().__init__(window_frames)
        self.batches: list[int] = []

    def input_frames(self, window_frames: int) -> int:
        return self.window_frames

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        self.batches.append(len(windows))
        return super().__call__(windows, kept)


def test_shifts_share_a_batch():
    separator = CountingSeparator(1000)
    separated(separator.bag(), noise(3000), shifts=4, overlap=0, batch=64)
    (windows,) = separator.batches
    assert windows > 4 * 3


class FailingSeparator(RecordingSeparator):
    """It fails at a window that begins at full scale."""

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        if np.any(windows[:, 0] == 1):
            raise ModelError("no")
        return super().__call__(windows, kept)


@pytest.mark.parametrize(("jobs", "batch"), [(0, 1), (1, 1), (1, 4), (2, 4)])
def test_the_window_that_fails_is_told(jobs, batch):
    mix = np.full((10 * RATE, 2), 0.5, "f4")
    mix[3 * RATE] = 1
    options = {"overlap": 0, "shifts": 0, "normalize": "none"}
    with pytest.raises(ModelError, match=r"no \(in the window at 3\.0 s\)"):
        separated(FailingSeparator(RATE).bag(), mix, jobs=jobs, batch=batch, **options)


@pytest.mark.parametrize("batch", [0, 5])
def test_a_file_is_separated_whole_where_memory_runs_out_and_its_report_tells(tmp_path, batch):
    mix = noise(12 * RATE)
    soundfile.write(tmp_path / "song.wav", mix, RATE, subtype="FLOAT")
    device = SmallDevice(room=2)
    separator = SparingSeparator(device)
    bag = Bag("small", [Member(separator, (1.0,) * 4)], device.names, RATE, 2)
    settings = Settings(
        out=tmp_path, filename="{stem}.{ext}", sample_format="float32", clip_mode="none",
        batch=batch, overwrite=True,
    )  # fmt: skip
    report = separate_track(tmp_path / "song.wav", settings, bag)
    assert device.calls[0] == (batch or device.best_load().windows)
    assert max(device.calls[3:]) <= 2
    (note,) = report.notes
    assert "windows at a time" in note or "one window at a time" in note
    for times, name in enumerate(device.names, start=1):
        stem, _ = soundfile.read(report.paths[name], dtype="float32")
        np.testing.assert_allclose(stem, mix * times, atol=1e-5)
    assert separate_track(tmp_path / "song.wav", settings, bag).notes == []
