"""Schedule, windows, stitch, level, derive, worker: each by itself."""

from __future__ import annotations

import threading
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.doubles import noise

from streamer.errors import ModelError, SettingsError
from streamer.live.realtime.running_gain import running_gain
from streamer.pipeline.fifo import Fifo
from streamer.pipeline.history import History
from streamer.pipeline.level import (
    FAST_SECONDS,
    KNEE,
    SLOW_SECONDS,
    RunningLevel,
    TrackStatistics,
    clamp,
    soft_clip,
)
from streamer.pipeline.schedule import Schedule, shift_offsets
from streamer.pipeline.stitch import PassMean, Stitcher
from streamer.pipeline.windows import PassWindows, Window, Windower
from streamer.pipeline.worker import Worker

splits = st.lists(st.integers(0, 900), max_size=12)


def blocks_of(samples, sizes):
    """The samples in blocks of the sizes, and the rest."""
    start = 0
    for size in sizes:
        yield samples[start : start + size]
        start += size
    yield samples[start:]


def stitched(samples, schedule, sizes=(), input_frames=lambda frames: frames):
    """A stream cut and blended back, as (frames, channels)."""
    windower = Windower([PassWindows(0, schedule, input_frames)])
    history = History(windower.capacity_frames + 1, samples.shape[1])
    stitcher = Stitcher(1, samples.shape[1])
    out = [np.zeros((1, 0, samples.shape[1]), np.float32)]

    def add(windows):
        for window in windows:
            end = window.left_frames + window.kept_frames
            data = window.data[None, window.left_frames : end]
            out.extend(stitcher.feed(window.start_frame, data, window.schedule))

    for block in blocks_of(samples, sizes):
        while len(block):
            block = block[history.write(block) :]
            add(windower.take(history))
    add(windower.finish(history))
    out.extend(stitcher.flush())
    return np.concatenate(out, axis=1)[0]


@given(
    frames=st.integers(0, 2000),
    window=st.integers(1, 300),
    overlap=st.floats(0, 0.9),
    shift=st.integers(-150, 0),
    extra=st.integers(0, 50),
    sizes=splits,
)
@settings(max_examples=150, deadline=None)
def test_windows_blend_back_into_the_stream(frames, window, overlap, shift, extra, sizes):
    if int((1 - overlap) * window) < 1:
        return
    schedule = Schedule.offline(window, overlap, first_start=shift)
    samples = noise(frames)
    whole = stitched(samples, schedule, input_frames=lambda n: n + extra)
    np.testing.assert_allclose(whole, samples, atol=1e-6)
    np.testing.assert_array_equal(
        stitched(samples, schedule, sizes, input_frames=lambda n: n + extra), whole
    )


@pytest.mark.parametrize("overlap", [1.0, 1.5, -0.1])
def test_an_overlap_without_a_hop_is_refused(overlap):
    with pytest.raises(SettingsError, match="overlap="):
        Schedule.offline(100, overlap)


def test_windows_see_real_audio_around_them():
    schedule = Schedule.offline(100, 0.5)
    windower = Windower([PassWindows(0, schedule, lambda frames: 140)])
    samples = noise(170)
    history = History(1000, 2)
    history.write(samples)
    windows = [*windower.take(history), *windower.finish(history)]
    assert [(w.start_frame, w.kept_frames, w.left_frames) for w in windows] == [
        (0, 100, 20), (50, 100, 20), (100, 70, 35), (150, 20, 60),
    ]  # fmt: skip
    padded = np.concatenate([np.zeros((200, 2)), samples, np.zeros((200, 2))]).astype("f4")
    for window in windows:
        begin = 200 + window.start_frame - window.left_frames
        np.testing.assert_array_equal(window.data, padded[begin : begin + 140])


def test_shifts_are_those_of_demucs():
    import random

    random.seed(11)
    theirs = [[random.randint(0, 4000) - 4000 for _ in range(3)] for _ in range(2)]
    assert shift_offsets(2, 3, 8000, seed=11) == theirs
    assert shift_offsets(2, 0, 8000, seed=11) == [[0], [0]]


def test_the_mean_of_passes_does_not_depend_on_who_comes_first():
    shares = [np.array([[0.25]], "f4"), np.array([[0.75]], "f4")]
    a, b = noise(100)[None], noise(100, seed=1)[None]
    one, two = PassMean(shares), PassMean(shares)
    assert one.feed(0, a).shape[1] == 0
    first = one.feed(1, b)
    two.feed(1, b[:, :60])
    second = np.concatenate([two.feed(0, a), two.feed(1, b[:, 60:])], axis=1)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, 0.25 * a + 0.75 * b, atol=1e-6)


@given(sizes=splits)
@settings(max_examples=40, deadline=None)
def test_the_running_level_is_the_same_for_any_blocks_and_taken_back(sizes):
    samples = noise(3000)
    whole, cut = RunningLevel(1000), RunningLevel(1000)
    leveled = whole.feed(samples)
    np.testing.assert_array_equal(
        np.concatenate([cut.feed(block) for block in blocks_of(samples, sizes)]), leveled
    )
    back = np.concatenate(
        [cut.invert(block[None])[0] for block in blocks_of(leveled, [10, 0, 1500])]
    )
    np.testing.assert_allclose(back, samples, rtol=1e-6)


@given(sizes=splits, capacity=st.integers(1, 500), reach=st.integers(1, 500))
@settings(max_examples=100, deadline=None)
def test_the_history_gives_back_any_stretch_until_it_is_released(sizes, capacity, reach):
    samples, history = noise(3000), History(capacity, 2)
    for block in blocks_of(samples, sizes):
        while len(block):
            block = block[history.write(block) :]
            end = history.end_frame
            start = max(history.start_frame, end - reach)
            out = np.full((reach + 5, 2), 7, "f4")
            assert history.peek(start, out) == end - start
            np.testing.assert_array_equal(out[: end - start], samples[start:end])
            assert (out[end - start :] == 7).all()
            history.release(max(start, end - capacity // 2))
    assert history.end_frame == 3000


def test_the_native_engine_levels_as_the_path_in_python_does():
    samples, target = noise(30_000) * np.float32(0.3), np.empty((30_000, 1), "f4")
    averages = np.zeros(2), np.array([SLOW_SECONDS, FAST_SECONDS]) * 1000
    running_gain(samples, target, *averages, 0)
    np.testing.assert_allclose(RunningLevel(1000).feed(samples), samples * target, rtol=1e-6)


def test_the_running_level_brings_any_music_to_one_rms_but_not_silence():
    quiet = RunningLevel(1000)
    rms = np.sqrt(np.square(quiet.feed(noise(20_000) * 0.3)[5000:]).mean())
    assert 0.7 < rms < 1.2
    silent = RunningLevel(1000)
    assert not silent.feed(np.zeros((5000, 2), "f4")).any()
    assert np.abs(silent.feed(noise(5000) * 1e-6)).max() < 1e-3


def test_music_after_silence_comes_in_at_its_own_level():
    level = RunningLevel(1000)
    level.feed(np.zeros((10_000, 2), "f4"))
    onset = level.feed(noise(1000))
    assert np.square(onset[100:300]).mean() < 4 * np.square(onset[700:]).mean()


def test_the_running_level_of_samples_whose_squares_pass_float32():
    audio = noise(2_000) * np.float32(1e30)
    level = RunningLevel(1000)
    evened = level.feed(audio)
    assert np.abs(evened).max() < 10
    assert np.allclose(level.invert(evened[np.newaxis])[0], audio, rtol=1e-5)


def test_track_statistics_are_those_of_the_whole():
    samples = noise(5000) + np.float32(0.1)
    statistics = TrackStatistics()
    for block in blocks_of(samples, [1, 0, 7, 2000]):
        statistics.feed(block)
    mono = samples.astype("f8").mean(axis=1)
    assert statistics.mean == pytest.approx(mono.mean(), rel=1e-6)
    assert statistics.deviation == pytest.approx(mono.std(ddof=1), rel=1e-6)


def test_the_soft_clip_is_exact_below_the_knee_smooth_at_it_and_never_over_full_scale():
    below = np.linspace(-KNEE, KNEE, 1001, dtype="f4")[1:-1, None]
    np.testing.assert_array_equal(soft_clip(below), below)
    ramp = np.linspace(0, 8, 800_001)[:, None].astype("f8")
    bent = soft_clip(ramp)[:, 0]
    slope = np.diff(bent) / np.diff(ramp[:, 0])
    assert np.abs(np.diff(slope)).max() < 1e-3
    assert slope.min() >= 0
    assert bent.max() <= 1
    huge = np.array([[1e30, -1e30]], "f4")
    np.testing.assert_array_equal(soft_clip(huge), [[1, -1]])
    np.testing.assert_array_equal(soft_clip(-ramp), -soft_clip(ramp))


def test_clamp_is_that_of_demucs():
    np.testing.assert_array_equal(
        clamp(np.array([[-2, 0.5, 0.995]], "f4")), np.array([[-0.99, 0.5, 0.99]], "f4")
    )


def test_a_fifo_gives_back_what_it_got():
    fifo, samples = Fifo(), noise(500)
    for block in blocks_of(samples, [3, 0, 200]):
        fifo.push(block)
    out = np.concatenate([fifo.pop(1), fifo.pop(5), fifo.pop(494)])
    np.testing.assert_array_equal(out, samples)
    assert fifo.frames == 0


def window(index: int) -> Window:
    schedule = Schedule(1, 1, np.ones(1, "f4"))
    return Window(0, index, 1, 0, np.full((1, 1), index, "f4"), schedule)


def data_of(windows):
    return [window.data for window in windows]


@pytest.mark.parametrize("jobs", [0, 1, 3])
def test_the_worker_keeps_the_order(jobs):
    with closing(Worker(jobs)) as worker:
        out = []
        for index in range(40):
            worker.submit(window(index), data_of)
            out += [job.window.start_frame for job in worker.finished()]
        out += [job.window.start_frame for job in worker.finished(wait=True)]
    assert out == list(range(40))


def test_the_worker_holds_back_who_submits_too_much():
    gate, computed = threading.Event(), []

    def separate(windows):
        gate.wait()
        computed.extend(window.start_frame for window in windows)
        return data_of(windows)

    with closing(Worker(1)) as worker:
        producer = threading.Thread(
            target=lambda: [worker.submit(window(i), separate) for i in range(9)]
        )
        producer.start()
        producer.join(0.2)
        assert producer.is_alive(), "nine windows went into a queue of three"
        gate.set()
        producer.join()
        assert len(list(worker.finished(wait=True))) == 9


def test_what_the_model_raises_comes_out_at_its_place():
    def separate(windows):
        if any(window.start_frame == 2 for window in windows):
            raise ModelError("no")
        return data_of(windows)

    with closing(Worker(1)) as worker:
        for index in range(3):
            worker.submit(window(index), separate)
        results = worker.finished(wait=True)
        assert [next(results).window.start_frame for _ in range(2)] == [0, 1]
        with pytest.raises(ModelError):
            next(results)
