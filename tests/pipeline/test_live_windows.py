"""Live windows: a constant delay, real past as context, and gaps that are values."""

from __future__ import annotations

import threading
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.doubles import (
    RATE,
    RecordingSeparator,
    SlowWorker,
    VirtualClock,
    bag_of,
    noise,
    tiny,
)

from streamer import Processor, Settings, SettingsError
from streamer.errors import ModelError
from streamer.models import load
from streamer.models.separator import WHOLE
from streamer.pipeline.delay import FADE_FRAMES
from streamer.pipeline.passes import Plan
from streamer.pipeline.schedule import Schedule, live_shifts
from streamer.pipeline.worker import HUNG_SECONDS, HUNG_WINDOWS, LiveWorker
from streamer.processor import Live

HOP, LOOKAHEAD = 0.1, 0.05
CROSSFADE = 0.02
LIVE = Settings(
    hop=HOP, lookahead=LOOKAHEAD, crossfade=CROSSFADE, normalize="none", clip_mode="none"
)


def run(processor, mix, block, clock=None):
    """All that `process` gives, with the clock going on by each block."""
    parts = []
    for start in range(0, len(mix), block):
        if clock is not None:
            clock.now += block / RATE
        parts.append(processor.process(mix[start : start + block]))
    return parts + processor.flush()


def joined(parts):
    return np.concatenate([part.data for part in parts], axis=1)


@given(
    hop=st.integers(1, 300),
    lookahead=st.integers(0, 300),
    crossfade=st.integers(0, 300),
    windows=st.integers(2, 6),
)
@settings(max_examples=200, deadline=None)
def test_the_weights_sum_to_one_at_every_frame(hop, lookahead, crossfade, windows):
    if crossfade > min(hop, lookahead):
        with pytest.raises(SettingsError, match="crossfade="):
            Schedule.live(1000, hop, lookahead, crossfade)
        return
    schedule = Schedule.live(1000, hop, lookahead, crossfade)
    total = np.zeros(windows * hop + crossfade)
    for start in range(0, windows * hop, hop):
        total[start : start + hop + crossfade] += schedule.weight
    np.testing.assert_allclose(total[crossfade : windows * hop], 1, atol=1e-6)
    before, after = schedule.around
    assert before + schedule.window_frames + after == 1000
    assert schedule.window_frames + after == hop + lookahead
    assert (schedule.weight > 0).all()


def test_a_window_too_short_for_hop_and_lookahead_is_refused():
    with pytest.raises(SettingsError, match="shorter hop or lookahead"):
        Schedule.live(100, 80, 30, 10)


def test_the_model_sees_the_newest_audio_and_its_real_past():
    model = RecordingSeparator(window_frames=2000)
    mix = noise(4000)
    processor = Processor(LIVE, bag=model.bag())
    processor.prepare(RATE, 64, 2)
    run(processor, mix, 64)
    hop, lookahead = round(HOP * RATE), round(LOOKAHEAD * RATE)
    history = np.concatenate([np.zeros((2000, 2), "f4"), mix, np.zeros((2000, 2), "f4")])
    assert len(model.seen) == 5
    for index, seen in enumerate(model.seen):
        end = index * hop + hop + lookahead
        np.testing.assert_array_equal(seen, history[end : end + 2000])


def test_shifts_look_into_the_past_only():
    assert live_shifts(2, 1, 100, seed=0) == [[0], [0]]
    drawn = live_shifts(2, 4, 100, seed=0)
    assert drawn == live_shifts(2, 4, 100, seed=0)
    assert all(shifts[0] == 0 and len(shifts) == 4 for shifts in drawn)
    assert all(0 <= shift <= 100 for shifts in drawn for shift in shifts)
    model = RecordingSeparator(window_frames=2000)
    mix = noise(4000)
    with Processor(LIVE.model_copy(update={"shifts": 3}), bag=model.bag()) as processor:
        processor.prepare(RATE, 64, 2)
        out = joined(run(processor, mix, 64))[:, processor.latency_frames :]
    np.testing.assert_allclose(out[0], mix, atol=1e-6)
    history = np.concatenate([np.zeros((3000, 2), "f4"), mix, np.zeros((3000, 2), "f4")])
    end = 1000 + round((HOP + LOOKAHEAD) * RATE)
    for shift, seen in zip(drawn_for(3), model.seen[:3], strict=True):
        np.testing.assert_array_equal(seen, history[end - shift : end - shift + 2000])


def drawn_for(shifts):
    (drawn,) = live_shifts(1, shifts, round(LOOKAHEAD * RATE) - round(CROSSFADE * RATE), seed=0)
    return drawn


@given(sizes=st.lists(st.integers(0, 500), min_size=1, max_size=6).filter(sum))
@settings(max_examples=10, deadline=None)
def test_any_blocks_give_the_same_to_the_bit(sizes):
    mix = noise(3000)
    bag = bag_of([tiny(), tiny(seed=1)], [[1, 0, 1, 1], [1, 1, 0.5, 1]])
    processor = Processor(Settings(hop=0.11, lookahead=0.07, shifts=2), bag=bag)
    processor.prepare(11025, 500, 2)
    whole = joined(run(processor, mix, 500))
    processor.reset()
    parts, start, index = [], 0, 0
    while start < len(mix):
        size = sizes[index % len(sizes)]
        parts.append(processor.process(mix[start : start + size]))
        start, index = start + size, index + 1
    np.testing.assert_array_equal(joined(parts + processor.flush()), whole)


@pytest.mark.parametrize("samplerate", [44100, 48000])
def test_the_delay_is_hop_and_lookahead_and_what_resampling_takes(samplerate):
    bag = load("passthrough", window=1)
    processor = Processor(Settings(hop=0.25, lookahead=0.1, normalize="none"), bag=bag)
    processor.prepare(samplerate, 512, 2)
    if samplerate == 44100:
        assert processor.latency_frames == round(0.35 * 44100) + 1
    assert processor.latency_frames < 0.42 * samplerate
    mix = noise(samplerate)
    out = joined(run(processor, mix, 512))[:, processor.latency_frames :]
    if samplerate == 44100:
        np.testing.assert_allclose(out[3], mix, atol=1e-6)
    else:  # the band up to 20 kHz comes back
        shown = np.abs(np.fft.rfft(out[3][:, 0]) - np.fft.rfft(mix[:, 0]))[:20000]
        assert shown.max() < 1e-2 * np.abs(np.fft.rfft(mix[:, 0])).max()


def test_live_stems_equal_the_file_run_to_the_bit():
    mix, clock = noise(6000), VirtualClock()
    bag = bag_of([tiny()], [[1] * 4])
    wish = Settings(hop=HOP, lookahead=LOOKAHEAD)
    file = Processor(wish, bag=bag)
    file.prepare(11025, 100, 2)
    whole = joined(run(file, mix, 100))[:, file.latency_frames :]
    policy = Live(compute_seconds=0.1, worker=lambda _: SlowWorker(clock, lambda n: 0.09))
    live = Processor(wish, bag=bag, live=policy)
    live.prepare(11025, 100, 2)
    assert live.latency_frames >= file.latency_frames + round(0.1 * 11025)
    parts = run(live, mix, 100, clock)
    assert live.missing_frames == 0
    assert all((part.wet == 1).all() for part in parts)
    np.testing.assert_array_equal(joined(parts)[:, live.latency_frames :], whole)


@pytest.mark.parametrize("fallback", ["dry", "silence"])
def test_late_stems_are_replaced_without_a_step_and_come_back(fallback):
    clock = VirtualClock()
    tone = 0.4 * np.sin(2 * np.pi * 50 * np.arange(3 * RATE) / RATE)
    mix = np.stack([tone, tone], axis=1).astype("f4")
    model = RecordingSeparator(window_frames=2000)
    slow = SlowWorker(clock, lambda n: 0.6 if n == 10 else 0.02)
    processor = Processor(
        LIVE, bag=model.bag(), live=Live(0.05, fallback=fallback, worker=lambda _: slow)
    )
    processor.prepare(RATE, 40, 2)
    parts = run(processor, mix, 40, clock)
    out, wet = joined(parts), np.concatenate([part.wet for part in parts])
    dry = np.concatenate([part.mix for part in parts])
    assert 0 < processor.missing_frames < 0.7 * RATE
    assert wet[: RATE // 2].all()
    assert (wet[-RATE:] == 1).all(), "the stems are back"
    assert (wet == 0).sum() > 0.3 * RATE
    assert np.abs(np.diff(wet)).max() <= 1 / FADE_FRAMES + 1e-6
    gap = wet == 0
    expected = dry[gap] / 4 if fallback == "dry" else 0 * dry[gap]
    np.testing.assert_allclose(out[0][gap], expected, atol=1e-6)
    steepest = np.abs(np.diff(tone)).max() + 0.4 / FADE_FRAMES
    assert np.abs(np.diff(out[0], axis=0)).max() <= steepest * 1.01


def test_a_model_that_fails_leaves_a_gap_and_the_run_goes_on():
    class Failing(RecordingSeparator):
        def __call__(self, windows, kept=WHOLE):
            if 3 <= len(self.seen) < 5:
                self.seen.append(windows[0])
                raise ModelError("no")
            return super().__call__(windows, kept)

    clock, model, mix = VirtualClock(), Failing(window_frames=2000), noise(2 * RATE)
    worker = SlowWorker(clock, lambda n: 0.01)
    processor = Processor(LIVE, bag=model.bag(), live=Live(0.05, worker=lambda _: worker))
    processor.prepare(RATE, 40, 2)
    parts = run(processor, mix, 40, clock)
    wet = np.concatenate([part.wet for part in parts])[processor.latency_frames :]
    hop, crossfade = round(HOP * RATE), round(CROSSFADE * RATE)
    assert not wet[3 * hop + crossfade : 5 * hop].any()
    assert (wet[: 3 * hop] == 1).all()
    assert (wet[5 * hop + crossfade :] == 1).all()
    assert processor.missing_frames == pytest.approx(2 * hop, abs=crossfade)
    out = joined(parts)[:, processor.latency_frames :]
    np.testing.assert_allclose(out[:, 3 * hop + crossfade : 5 * hop].sum(0),
                               mix[3 * hop + crossfade : 5 * hop], atol=1e-6)  # fmt: skip


@pytest.mark.parametrize("block", [40, 500, 900])
def test_blocks_of_any_length_are_allowed_for(block):
    clock, model, mix = VirtualClock(), RecordingSeparator(window_frames=2000), noise(2 * RATE)
    live = Live(0.05, worker=lambda _: SlowWorker(clock, lambda n: 0.001))
    processor = Processor(LIVE, bag=model.bag(), live=live)
    processor.prepare(RATE, block, 2)
    parts = run(processor, mix, block, clock)
    assert processor.missing_frames == 0
    assert (np.concatenate([part.wet for part in parts])[processor.latency_frames :] == 1).all()


def test_the_last_windows_wait_for_the_model_at_the_end():
    clock, model, mix = VirtualClock(), RecordingSeparator(window_frames=2000), noise(2 * RATE)
    live = Live(1.0, worker=lambda _: SlowWorker(clock, lambda n: 1.5 * HOP))
    processor = Processor(LIVE, bag=model.bag(), live=live)
    processor.prepare(RATE, 40, 2)
    parts = []
    for start in range(0, len(mix), 40):
        clock.now += 40 / RATE
        parts += processor.feed(mix[start : start + 40])
        if processor.waiting_windows == 2:  # one has just begun to wait for the one before
            break
    parts += processor.flush()
    assert (np.concatenate([part.wet for part in parts]) == 1).all()


def test_what_a_model_that_always_fails_leaves_out_is_missing():
    class Broken(RecordingSeparator):
        def __call__(self, windows, kept=WHOLE):
            raise ModelError("no")

    clock, mix = VirtualClock(), noise(2 * RATE)
    policy = Live(0.05, worker=lambda _: SlowWorker(clock, lambda n: 0.01))
    processor = Processor(LIVE, bag=Broken(window_frames=2000).bag(), live=policy)
    processor.prepare(RATE, 40, 2)
    run(processor, mix, 40, clock)
    assert processor.missing_frames == len(mix)


def test_a_plan_can_be_switched_while_it_runs():
    clock, model = VirtualClock(), RecordingSeparator(window_frames=2000)
    mix = noise(2 * RATE)
    live = Live(0.05, history_seconds=0.25, worker=lambda _: SlowWorker(clock, lambda n: 0.001))
    processor = Processor(LIVE, bag=model.bag(), live=live)
    processor.prepare(RATE, 40, 2)
    shorter = Plan.make(model.bag(), LIVE.model_copy(update={"hop": 0.07, "lookahead": 0.03}))
    first = processor.plan
    parts = []
    for start in range(0, len(mix), 40):
        if start == 6000:
            processor.switch(shorter)
        if start == 10000:
            processor.switch(first)
        clock.now += 40 / RATE
        parts.append(processor.process(mix[start : start + 40]))
    out = joined(parts + processor.flush())[:, processor.latency_frames :]
    np.testing.assert_allclose(out[0], mix, atol=1e-6)
    assert processor.missing_frames == 0


def test_another_stream_begins_with_the_first_plan():
    model = RecordingSeparator(window_frames=2000)
    processor = Processor(LIVE, bag=model.bag(), live=Live(0.05, history_seconds=0.25))
    processor.prepare(RATE, 40, 2)
    before = processor.latency_frames
    processor.switch(Plan.make(model.bag(), LIVE.model_copy(update={"hop": 0.07})))
    processor.reset()
    assert processor.latency_frames == before
    processor.close()


def test_a_closed_processor_waits_for_no_window():
    with Processor(LIVE, bag=RecordingSeparator(2000).bag(), live=Live()) as processor:
        processor.prepare(RATE, 512, 2)
        processor.process(noise(512))
    for call in (processor.flush, lambda: processor.process(noise(512))):
        with pytest.raises(SettingsError, match=r"the processor is closed; call reset\(\)"):
            call()
    processor.reset()
    processor.process(noise(512))
    processor.close()


def test_the_live_worker_never_waits_and_the_newest_window_wins():
    gate, begun = threading.Event(), threading.Event()

    def separate(windows):
        begun.set()
        gate.wait()
        if windows == ["second"]:
            raise MemoryError
        return windows

    with closing(LiveWorker()) as worker:
        worker.submit("first", separate)
        begun.wait()
        for name in ("old", "older", "second"):
            worker.submit(name, separate)
        assert list(worker.finished()) == []
        gate.set()
        jobs = list(worker.finished(wait=True))
    assert [job.window for job in jobs] == ["first", "old", "older", "second"]
    assert [job.dropped for job in jobs] == [False, True, True, False]
    assert jobs[0].stems == "first"
    assert isinstance(jobs[3].error, MemoryError)
    assert jobs[3].queued_at <= jobs[3].began_at <= jobs[3].ended_at


def test_a_window_that_the_model_hangs_at_is_given_up_and_holds_up_no_other():
    gate, begun = threading.Event(), threading.Event()

    def hang(windows):
        begun.set()
        gate.wait()
        return windows

    clock = VirtualClock()
    clock.now = 1.0
    with closing(LiveWorker(clock=clock)) as worker:
        worker.submit("hung", hang)
        begun.wait()
        for number in range(HUNG_WINDOWS - 2):
            worker.submit(number, list)
        clock.now += HUNG_SECONDS  # short hops: not yet
        worker.submit(HUNG_WINDOWS - 2, list)
        assert list(worker.finished()) == []
        clock.now += 0.1
        worker.submit("newer", list)
        jobs = list(worker.finished())
        assert [job.window for job in jobs] == ["hung", *range(HUNG_WINDOWS - 1)]
        worker.submit("newest", list)
        assert [job.dropped for job in worker.finished()] == [True]
        gate.set()
        (last,) = worker.finished(wait=True)
    hung = jobs[0]
    assert isinstance(hung.error, ModelError)
    assert hung.stems is None
    assert hung.queued_at <= hung.began_at <= hung.ended_at
    assert (last.window, last.stems) == ("newest", "newest")


def test_a_live_processor_needs_live_windows():
    with pytest.raises(SettingsError, match="give hop"):
        Processor(Settings(), bag=RecordingSeparator(2000).bag(), live=Live())


def test_a_short_window_is_shown_as_it_is():
    short, padded = (
        load("htdemucs_mini", window=1, exact_window=exact, backend="torch").members[0].separator
        for exact in (True, False)
    )
    window = noise(44100)[None]
    assert short(window).shape == padded(window).shape == (1, 4, 44100, 2)
    assert np.abs(short(window) - padded(window)).max() > 1e-3
