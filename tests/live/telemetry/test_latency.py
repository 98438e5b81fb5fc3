"""Stages of the way, the log of a run, its timeline, and the clock of a device's blocks."""

from __future__ import annotations

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.live.telemetry.latency import (
    MEANINGS,
    BlockClock,
    LatencyLog,
    Stage,
    Timeline,
    WindowTimes,
)

RATE = 48000
PARTS = dict(zip(Stage, (0.005, 0.2, 0.001, 0.002, 0.08, 0.003, 0.021), strict=True))
DELAY = math.fsum(PARTS.values())


def window(start_frame=0, *, played=True, **changes):
    """Times of a window whose stages are PARTS, but for the changes."""
    stamps = [start_frame / RATE]
    for stage, seconds in PARTS.items():
        stamps.append(stamps[-1] + changes.get(stage, seconds))
    return WindowTimes(start_frame, *stamps[:-1], stamps[-1] if played else None)


stamps = st.lists(st.floats(0, 1e5), min_size=8, max_size=8).map(sorted)


@given(stamps)
def test_stages_add_up_to_the_delay(times):
    one = WindowTimes(0, *times)
    assert set(one.stages()) == set(Stage)
    assert all(seconds >= 0 for seconds in one.stages().values())
    assert math.fsum(one.stages().values()) == pytest.approx(one.delay_seconds, abs=1e-9)


def test_each_stage_lies_between_its_two_stamps():
    assert WindowTimes(0, 1, 2, 4, 8, 16, 32, 64, 128).stages() == dict(
        zip(Stage, (1, 2, 4, 8, 16, 32, 64), strict=True)
    )
    assert set(MEANINGS) == set(Stage)


def test_a_window_that_came_too_late_has_no_delay_but_its_other_stages():
    late = window(played=False)
    assert late.delay_seconds is None
    assert set(late.stages()) == set(Stage) - {Stage.PLAYBACK}


def test_a_device_that_tells_no_time():
    unknown = WindowTimes(0, math.nan, 1.0, 1.2, 1.2, 1.2, 1.3, 1.3, 1.4)
    assert unknown.delay_seconds is None
    assert set(unknown.stages()) == set(Stage) - {Stage.CAPTURE}
    log = LatencyLog(RATE, 0.4)
    log.feed(unknown)
    assert (log.windows, log.missed, log.delay.count) == (1, 0, 0)
    assert math.isnan(log.timeline.points()[0].delay_mean_seconds)


def test_the_log_keeps_stages_delay_and_deviation():
    log = LatencyLog(RATE, DELAY)
    for index in range(100):
        log.feed(window(index * RATE // 4))
    log.feed(window(100 * RATE // 4, played=False, inference=0.7))
    assert (log.windows, log.missed) == (101, 1)
    assert log.delay.summary().p50 == pytest.approx(DELAY)
    assert log.deviation.max == pytest.approx(0, abs=1e-9)
    assert log.stages[Stage.INFERENCE].max == pytest.approx(0.7)
    assert log.stages[Stage.PLAYBACK].count == 100
    means = math.fsum(log.stages[stage].mean for stage in (Stage.CAPTURE, Stage.FILL, Stage.CUT))
    assert means == pytest.approx(0.206)


def test_the_delay_is_held_against_what_was_announced_at_the_time():
    log = LatencyLog(RATE, DELAY)
    log.feed(window(0))
    log.announce(DELAY + 0.01)
    log.feed(window(RATE))
    assert (log.deviation.min, log.deviation.max) == pytest.approx((-0.01, 0), abs=1e-9)
    announced = [point.announced_seconds for point in log.timeline.points()]
    assert announced == pytest.approx([DELAY, DELAY + 0.01])


@given(st.lists(st.integers(-RATE, 200 * RATE), min_size=1, max_size=60))
def test_the_timeline_loses_no_window(frames):
    timeline = Timeline(RATE, points=8)
    for frame in frames:
        timeline.feed(window(frame, played=frame % 3 > 0), DELAY)
    points = timeline.points()
    assert len(points) <= 8
    assert sum(point.windows for point in points) == len(frames)
    assert sum(point.missed for point in points) == sum(frame % 3 == 0 for frame in frames)
    starts = [point.start_frame for point in points]
    assert starts == sorted(set(starts))
    assert all(start % timeline.point_frames == 0 for start in starts)
    for point in points:
        inside = [
            frame
            for frame in frames
            if point.start_frame <= max(0, frame) < point.start_frame + timeline.point_frames
        ]
        assert len(inside) == point.windows


def test_joined_stretches_keep_their_extremes_and_stages_that_add_up():
    timeline = Timeline(RATE, points=4)
    for second in range(64):
        timeline.feed(window(second * RATE, fill=0.2 + 0.001 * (second == 37)), DELAY)
    points = timeline.points()
    assert timeline.point_frames == 16 * RATE
    assert [point.windows for point in points] == [16] * 4
    assert points[2].delay_max_seconds == pytest.approx(DELAY + 0.001)
    assert points[2].delay_min_seconds == pytest.approx(DELAY)
    assert points[2].delay_mean_seconds == pytest.approx(DELAY + 0.001 / 16)
    assert points[1].delay_max_seconds == pytest.approx(DELAY)
    for point in points:
        assert math.fsum(point.stages.values()) == pytest.approx(point.delay_mean_seconds)


def test_a_stretch_without_windows_is_no_point():
    timeline = Timeline(RATE)
    timeline.feed(window(0), DELAY)
    timeline.feed(window(40 * RATE), DELAY)
    assert [point.start_frame // RATE for point in timeline.points()] == [0, 40]


def test_the_log_of_a_day_is_as_large_as_that_of_a_minute():
    def size(log):
        return len(pickle.dumps(log))

    log = LatencyLog(RATE, DELAY)
    for index in range(240):
        log.feed(window(index * RATE // 4))
    minute = size(log)
    for index in range(240, 24 * 3600, 37):
        log.feed(window(index * RATE, inference=0.08 + index % 100 / 1e4))
    # a number that is no longer 0 takes a few bytes more
    assert size(log) < minute + 20_000
    assert len(log.timeline.points()) <= 512


class TestBlockClock:
    def test_frames_within_a_block_go_at_the_nominal_rate(self):
        clock = BlockClock(RATE)
        clock.feed(0, 10.0)
        clock.feed(480, 10.010)
        assert clock.at(0) == 10.0
        assert clock.at(240) == pytest.approx(10.005)

    def test_a_frame_is_not_known_before_the_block_after_it(self):
        clock = BlockClock(RATE)
        assert clock.at(0) is None
        clock.feed(0, 10.0)
        assert clock.at(0) is None
        clock.feed(480, 10.010)
        assert clock.at(479) is not None
        assert clock.at(480) is None

    def test_a_late_or_early_block_counts_as_it_came(self):
        clock = BlockClock(RATE)
        clock.feed(0, 10.0)
        clock.feed(480, 10.5)
        clock.feed(960, 10.502)
        clock.feed(1440, 10.6)
        assert clock.at(480) == 10.5
        assert clock.at(479) == pytest.approx(10.0 + 479 / RATE)
        assert clock.at(959) == 10.502  # not after the next block has begun

    def test_positions_between_frames_as_with_two_clocks(self):
        clock = BlockClock(RATE)
        clock.feed(99.75, 1.0)
        clock.feed(579.75, 1.01)
        assert clock.at(100) == pytest.approx(1.0 + 0.25 / RATE)

    def test_a_stall_does_not_move_the_position(self):
        clock = BlockClock(RATE)
        for seconds in (1.0, 2.0, 3.0):
            clock.feed(0, seconds)
        clock.feed(480, 3.01)
        assert clock.at(0) == 3.0

    def test_what_is_forgotten_is_nan(self):
        clock = BlockClock(RATE, blocks=4)
        for block in range(100):
            clock.feed(block * 480, block * 0.01)
        assert math.isnan(clock.at(480))
        assert clock.at(97 * 480) == pytest.approx(0.97)
