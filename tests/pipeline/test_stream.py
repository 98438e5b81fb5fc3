"""A model that goes along the stream: in whatever blocks, with windows dropped, and again."""

from __future__ import annotations

import threading
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.doubles import (
    RATE,
    SOURCES,
    AlongTheStream,
    RecordingSeparator,
    SlowWorker,
    VirtualClock,
    noise,
)

from streamer import Processor, Settings, SettingsError
from streamer.errors import ModelError
from streamer.models.separator import CONTEXT_FRAMES, Bag, Member, Stride
from streamer.pipeline.gaps import EDGE_FRAMES
from streamer.pipeline.passes import StatefulModel
from streamer.pipeline.schedule import Schedule
from streamer.pipeline.separation import TrackSurvey
from streamer.pipeline.windows import Window
from streamer.pipeline.worker import LiveWorker
from streamer.processor import Live

HOP, LOOKAHEAD = 64, 128
STRIDE = Stride(HOP, LOOKAHEAD)
CONTEXT_HOPS = CONTEXT_FRAMES // HOP
PLAIN = {"normalize": "none", "clip_mode": "none"}


def expected_of(mix):
    return np.float32(0.01 * np.cumsum(mix, axis=0, dtype=float) * np.arange(1, 5)[:, None, None])


def fed(processor, mix, sizes):
    parts, start, index = [], 0, 0
    while start < len(mix):
        size = sizes[index % len(sizes)]
        parts += processor.feed(mix[start : start + size])
        start, index = start + size, index + 1
    return joined(parts + processor.flush())


def joined(parts):
    return np.concatenate([part.data for part in parts], axis=1)


def live_run(processor, mix, clock, block=HOP // 2):
    parts = []
    for start in range(0, len(mix), block):
        clock.now += block / RATE
        parts.append(processor.process(mix[start : start + block]))
    parts += processor.flush()
    return joined(parts)[:, processor.latency_frames :]


def test_the_parts_of_a_window_add_up():
    assert STRIDE.window_frames(3) == CONTEXT_HOPS * HOP + 3 * HOP + LOOKAHEAD
    assert STRIDE.new_frames(STRIDE.window_frames(3)) == 3 * HOP
    assert STRIDE.new_frames(STRIDE.window_frames(3) + HOP - 1) == 3 * HOP
    assert STRIDE.new_frames(10) == 0


@given(
    frames=st.integers(1, 3000),
    sizes=st.lists(st.integers(0, 500), min_size=1, max_size=6).filter(sum),
    jobs=st.sampled_from([0, 3]),
)
@settings(max_examples=30, deadline=None)
def test_a_file_goes_through_it_once_and_in_order(frames, sizes, jobs):
    mix, model = noise(frames), AlongTheStream(STRIDE)
    with Processor(Settings(shifts=2, **PLAIN), bag=model.bag(), jobs=jobs) as processor:
        processor.prepare(RATE, 500, 2)
        np.testing.assert_allclose(fed(processor, mix, sizes), expected_of(mix), atol=1e-5)
        assert model.begun == 1
        processor.reset()
        np.testing.assert_allclose(fed(processor, mix, sizes), expected_of(mix), atol=1e-5)


@pytest.mark.parametrize("jobs", [0, 3])
def test_a_bag_may_have_a_member_with_windows_and_one_that_remembers(jobs):
    mix, model = noise(3000), AlongTheStream(STRIDE)
    members = [Member(RecordingSeparator(500), (1.0, 1.0, 3.0, 0.0)), *model.bag().members]
    bag = Bag("both", members, tuple(SOURCES), RATE, 2)
    mine = np.array([1, 1, 3, 0], "f4")[:, None, None] * mix * np.arange(1, 5)[:, None, None]
    mean = (mine + expected_of(mix)) / np.array([2, 2, 4, 1])[:, None, None]
    with Processor(Settings(shifts=2, overlap=0.25, **PLAIN), bag=bag, jobs=jobs) as processor:
        processor.prepare(RATE, 500, 2)
        np.testing.assert_allclose(fed(processor, mix, [499, 1, 130]), mean, atol=1e-5)
    assert model.begun == 1


def test_the_delay_is_a_hop_and_the_lookahead():
    processor = Processor(Settings(hop=HOP / RATE, **PLAIN), bag=AlongTheStream(STRIDE).bag())
    processor.prepare(RATE, 100, 2)
    assert processor.latency_frames == HOP + LOOKAHEAD + 1
    mix = noise(2000)
    out = live_run(processor, mix, VirtualClock(), block=100)
    np.testing.assert_allclose(out, expected_of(mix), atol=1e-5)


@pytest.mark.parametrize(("dropped", "begun"), [(5, 1), (CONTEXT_HOPS + 5, 2)])
def test_what_was_dropped_is_caught_up_as_far_as_the_window_reaches(dropped, begun):
    """A window that takes long costs those behind it their time, and what follows is as it was."""
    clock, model = VirtualClock(), AlongTheStream(STRIDE, hops=1)
    mix = noise((CONTEXT_HOPS + 40) * HOP)
    seconds = (dropped + 0.5) * HOP / RATE
    slow = SlowWorker(clock, lambda n: seconds if n == 10 else 0.0)
    processor = Processor(
        Settings(hop=HOP / RATE, **PLAIN), bag=model.bag(), live=Live(0.01, worker=lambda _: slow)
    )
    processor.prepare(RATE, HOP, 2)
    out = live_run(processor, mix, clock)
    assert processor.missing_frames > 0
    assert model.begun == begun
    assert HOP < max(model.calls[1:]) <= STRIDE.window_frames(1)
    end = slice(-10 * HOP, None)
    same = np.allclose(out[:, end], expected_of(mix)[:, end], atol=1e-5)
    assert same == (begun == 1)


def test_after_a_failure_it_begins_anew():
    class Failing(AlongTheStream):
        def begin(self):
            stream = super().begin()

            def go_on(heard):
                if len(self.calls) == 7:
                    self.calls.append(0)
                    raise ModelError("no")
                return stream(heard)

            return go_on

    clock, model = VirtualClock(), Failing(STRIDE)
    worker = SlowWorker(clock, lambda n: 0.0)
    processor = Processor(
        Settings(hop=HOP / RATE, **PLAIN), bag=model.bag(), live=Live(0.01, worker=lambda _: worker)
    )
    processor.prepare(RATE, HOP, 2)
    live_run(processor, noise(40 * HOP), clock)
    assert model.begun == 2
    assert model.calls[6:10] == [HOP, 0, 9 * HOP + LOOKAHEAD, HOP]


def test_a_warm_up_is_forgotten_before_the_first_window():
    """The first two windows wait while the warm-up is computed, and come in one batch."""
    clock, model, mix = VirtualClock(), AlongTheStream(STRIDE, hops=1), noise(60 * HOP)
    calls = []

    def make(waiting):
        return SlowWorker(clock, lambda n: calls.append(n) or (0.0 if n else 0.05), waiting)

    processor = Processor(
        Settings(hop=HOP / RATE, **PLAIN), bag=model.bag(), live=Live(0.06, worker=make)
    )
    processor.prepare(RATE, HOP, 2)
    processor.warm_up()
    assert model.begun == 1
    out = live_run(processor, mix, clock)
    assert len(calls) < 1 + 60, "the first windows came in one batch"
    assert processor.missing_frames == 0
    np.testing.assert_allclose(out, expected_of(mix), atol=1e-5)


@pytest.mark.parametrize("hops", [1, 5])
def test_a_reset_forgets_the_stream_before(hops):
    """Though the windows of the next one come in batches, and it ended where they begin."""
    mix, model = noise(40 * HOP), AlongTheStream(STRIDE, hops=1)
    with Processor(Settings(**PLAIN), bag=model.bag(), jobs=1, batch=4) as processor:
        processor.prepare(RATE, 500, 2)
        fed(processor, noise(hops * HOP, seed=1), [500])
        processor.reset()
        np.testing.assert_allclose(fed(processor, mix, [500]), expected_of(mix), atol=1e-5)


def windows_of(mix, count):
    """The first live windows of a hop each, as they are cut from a stream."""
    schedule = Schedule.live(STRIDE.window_frames(1), HOP, LOOKAHEAD, 0)
    before, _ = schedule.around
    padded = np.concatenate([np.zeros((before, 2), "f4"), mix])
    return [
        Window(0, n * HOP, HOP, before, padded[n * HOP :][: STRIDE.window_frames(1)], schedule)
        for n in range(count)
    ]


def test_a_window_that_was_given_away_before_is_heard_anew():
    model, mix = AlongTheStream(STRIDE, hops=1), noise(60 * HOP)
    (member,) = model.bag().members
    separate, windows = StatefulModel(member, (0, 1, 2, 3)), windows_of(mix, 12)
    expected = expected_of(mix)
    separate(windows[:6])
    again = separate(windows[4:9])
    assert model.begun == 2
    for window, stems in zip(windows[4:9], again, strict=True):
        kept = slice(window.start_frame, window.start_frame + HOP)
        np.testing.assert_allclose(stems, expected[:, kept], atol=1e-5)


def test_a_batch_that_reaches_too_far_back_is_heard_in_two_goes():
    model, mix = AlongTheStream(STRIDE, hops=1), noise((CONTEXT_HOPS + 60) * HOP)
    (member,) = model.bag().members
    separate, windows = StatefulModel(member, (0, 1, 2, 3)), windows_of(mix, CONTEXT_HOPS + 40)
    separate(windows[:1])
    stems = separate(windows[CONTEXT_HOPS + 20 :][:10])
    assert len(stems) == 10
    assert model.calls[1:] == [STRIDE.window_frames(1), 9 * HOP]


def test_a_gap_begins_and_ends_without_a_step():
    clock, model = VirtualClock(), AlongTheStream(STRIDE, hops=4)
    tone = 0.4 * np.sin(2 * np.pi * 50 * np.arange(100 * HOP) / RATE)
    mix = np.stack([tone, tone], axis=1).astype("f4")
    policy = Live(0.02, worker=lambda waiting: SlowWorker(clock, lambda n: 0.0, waiting))
    processor = Processor(Settings(hop=4 * HOP / RATE, **PLAIN), bag=model.bag(), live=policy)
    processor.prepare(RATE, HOP, 2)
    parts = []
    for start in range(0, len(mix), HOP):
        if start in (40 * HOP, 70 * HOP):
            processor.switch(processor.plan, idle=start == 40 * HOP)
        clock.now += HOP / RATE
        parts.append(processor.process(mix[start : start + HOP]))
    out = joined(parts)[0, processor.latency_frames :, 0]
    wet = np.concatenate([part.wet for part in parts])[processor.latency_frames :]
    assert (wet == 0).sum() > 20 * HOP
    assert (wet == 1).sum() > 40 * HOP
    assert np.abs(np.diff(wet)).max() <= 1 / EDGE_FRAMES + 1e-6
    largest = max(np.abs(out).max(), 0.4)
    steepest = np.abs(np.diff(out[wet == 1])).max() + np.abs(np.diff(tone)).max()
    assert np.abs(np.diff(out)).max() <= steepest + 2 * largest / EDGE_FRAMES


@pytest.mark.parametrize("normalize", ["rms", "track", "none"])
def test_it_is_given_the_level_that_it_learnt_from(normalize):
    heard = []

    class Listening(AlongTheStream):
        def begin(self):
            stream = super().begin()
            return lambda part: heard.append(part) or stream(part)

    model, mix = Listening(STRIDE), noise(20000)
    model.level_rms = 0.15
    settings = Settings(normalize=normalize, clip_mode="none")
    with Processor(settings, bag=model.bag()) as processor:
        deviation = float(mix.mean(axis=1).std())
        processor.prepare(RATE, 500, 2, TrackSurvey(0.0, deviation))
        out = fed(processor, mix, [500])
    level = np.sqrt(np.mean(np.concatenate(heard)[5000:20000] ** 2, dtype=float))
    expected = {"rms": 0.15, "track": 0.15 * 2**0.5, "none": mix[5000:].std()}
    assert level == pytest.approx(expected[normalize], rel=0.2)
    if normalize != "rms":  # a sum over time knows of other gains than its last
        np.testing.assert_allclose(out, expected_of(mix), atol=1e-4)


def test_what_windows_have_and_it_has_not_is_refused():
    bag = AlongTheStream(STRIDE).bag()
    with pytest.raises(SettingsError, match=r"lookahead=0\.1 .* always has 0\.016 seconds"):
        Processor(Settings(hop=0.1, lookahead=0.1), bag=bag)
    with pytest.raises(SettingsError, match=r"crossfade=0\.01 .* no windows that could blend"):
        Processor(Settings(hop=0.1, crossfade=0.01), bag=bag)
    Processor(Settings(hop=0.01, lookahead=LOOKAHEAD / RATE, crossfade=0), bag=bag)


def test_as_many_hops_may_wait_as_would_be_caught_up():
    asked = []

    def make(waiting):
        asked.append(waiting)
        return LiveWorker(waiting)

    settings = Settings(hop=HOP / RATE, **PLAIN)
    bag = AlongTheStream(STRIDE).bag()
    with Processor(settings, bag=bag, live=Live(0.02, worker=make)) as processor:
        processor.prepare(RATE, HOP, 2)
    assert asked == [CONTEXT_HOPS]


def test_of_those_that_wait_the_oldest_goes():
    gate, begun = threading.Event(), threading.Event()

    def separate(windows):
        begun.set()
        gate.wait()
        return windows

    with closing(LiveWorker(waiting=2)) as worker:
        worker.submit(0, separate)
        begun.wait()
        for number in range(1, 5):
            worker.submit(number, separate)
        gate.set()
        jobs = list(worker.finished(wait=True))
    assert [job.window for job in jobs if job.dropped] == [1, 2]
    assert [job.stems for job in jobs] == [0, None, None, 3, 4]
