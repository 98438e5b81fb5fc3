"""Calibration: what is timed, what is kept, and what spoils a kept timing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.doubles import AlongTheStream

from ringbuffer.kept import read_sealed, write_sealed
from streamer.errors import ModelError
from streamer.models.calibration import (
    ENOUGH_SECONDS,
    FEWEST_ROUNDS,
    MOST_ROUNDS,
    TAIL,
    WARM_UP_ROUNDS,
    CalibrationStore,
    Subject,
    WindowTiming,
    calibrate,
    time_bag,
)
from streamer.models.separator import WHOLE, Bag, Member, Stride

RATE = 8000
SUBJECT = Subject("slow", "made up", 1)


class VirtualClock:
    """Seconds that pass only when somebody says so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class SlowSeparator:
    """Takes the next of ``costs`` seconds of virtual time a window; then the last one again."""

    names = ("vocals", "other")
    samplerate = RATE
    channels = 2

    def __init__(self, clock, window_frames, costs, margin=0) -> None:
        self.window_frames = window_frames
        self.calls = 0
        self._clock, self._costs, self._margin = clock, costs, margin

    def input_frames(self, window_frames):
        return window_frames + self._margin

    def __call__(self, windows, kept=WHOLE):
        assert windows.shape == (1, self.window_frames + self._margin, 2)
        assert windows.dtype == np.float32
        assert 0.05 < np.std(windows) < 0.2, "silence may take a short cut"
        self._clock.seconds += self._costs[min(self.calls, len(self._costs) - 1)]
        self.calls += 1
        return np.repeat(windows[:, None, kept], 2, axis=1)


class Factory:
    """Makes bags of one slow member whose time grows with the window."""

    def __init__(self, clock, seconds_per_second=0.1) -> None:
        self.made: list[float] = []
        self._clock, self._ratio = clock, seconds_per_second

    def __call__(self, seconds):
        self.made.append(seconds)
        return bag_of(SlowSeparator(self._clock, int(seconds * RATE), [seconds * self._ratio]))


def bag_of(*separators):
    members = [None if s is None else Member(s, (1.0, 1.0)) for s in separators]
    return Bag("slow", members, ("vocals", "other"), RATE, 2)


@pytest.fixture
def clock():
    return VirtualClock()


# timing ------------------------------------------------------------------------------------------


def test_the_warm_up_does_not_count(clock):
    separator = SlowSeparator(clock, 4000, [9.0] * WARM_UP_ROUNDS + [0.5])
    timing = time_bag(bag_of(separator), clock=clock)
    assert timing == WindowTiming(4000, pytest.approx(0.5), pytest.approx(0.5 * TAIL))


def test_the_slowest_round_is_the_p99(clock):
    costs = [0.1] * (WARM_UP_ROUNDS + 3) + [0.3] + [0.1]
    timing = time_bag(bag_of(SlowSeparator(clock, 4000, costs)), clock=clock)
    assert timing.p50_seconds == pytest.approx(0.1)
    assert timing.p99_seconds == pytest.approx(0.3)


def test_all_members_that_are_there_are_timed_with_what_each_wants_to_see(clock):
    one = SlowSeparator(clock, 4000, [0.1], margin=12)
    two = SlowSeparator(clock, 4000, [0.2])
    timing = time_bag(bag_of(one, None, two), clock=clock)
    assert timing.p50_seconds == pytest.approx(0.3)
    assert one.calls == two.calls


@pytest.mark.parametrize(
    ("cost", "rounds"),
    [(0.001, MOST_ROUNDS), (5.0, FEWEST_ROUNDS), (0.125, int(ENOUGH_SECONDS / 0.125))],
)
def test_it_takes_a_few_windows_whatever_they_cost(clock, cost, rounds):
    separator = SlowSeparator(clock, 4000, [cost])
    time_bag(bag_of(separator), clock=clock)
    assert separator.calls == WARM_UP_ROUNDS + rounds


def test_a_real_network_is_timed_in_its_own_window(tiny_bag):
    timing = time_bag(tiny_bag)
    assert timing.window_frames == tiny_bag.members[0].separator.window_frames
    assert 0 < timing.p50_seconds <= timing.p99_seconds


def test_passes_follow_each_other():
    assert WindowTiming(4000, 0.25, 0.5).scaled(4) == WindowTiming(4000, 1.0, 2.0)


def test_a_model_that_fails_says_so(clock):
    class Failing(SlowSeparator):
        def __call__(self, windows, kept=WHOLE):
            raise ModelError("memory ran out; try a shorter --window")

    with pytest.raises(ModelError, match="memory ran out"):
        time_bag(bag_of(Failing(clock, 4000, [1])), clock=clock)


# the store ---------------------------------------------------------------------------------------


def test_what_is_known_is_not_timed_again(clock, tmp_path):
    factory, store = Factory(clock), CalibrationStore(tmp_path)
    first = calibrate(factory, [2.0, 1.0], SUBJECT, store=store, clock=clock)
    assert [timing.window_frames for timing in first.timings] == [2 * RATE, RATE]
    assert first.samplerate == RATE
    assert not first.cached
    again = calibrate(factory, [1.0, 2.0], SUBJECT, store=CalibrationStore(tmp_path), clock=clock)
    assert again.timings == first.timings[::-1]
    assert again.cached
    assert factory.made == [2.0, 1.0]
    more = calibrate(factory, [2.0, 3.0], SUBJECT, store=store, clock=clock)
    assert factory.made == [2.0, 1.0, 3.0]
    assert (more.timings[0], more.cached) == (first.timings[0], False)


def test_what_a_busy_machine_takes_is_used_but_not_kept(clock, tmp_path):
    def busy(seconds):
        return bag_of(SlowSeparator(clock, int(seconds * RATE), [0.1] * 6 + [0.15] + [0.1]))

    calibration = calibrate(busy, [1.0], SUBJECT, store=CalibrationStore(tmp_path), clock=clock)
    assert calibration.timings[0].p99_seconds == pytest.approx(0.15)
    assert not calibration.timings[0].steady
    assert not list(tmp_path.iterdir())


def test_without_a_store_all_is_timed(clock):
    factory = Factory(clock)
    for _ in range(2):
        calibrate(factory, [1.0], SUBJECT, clock=clock)
    assert factory.made == [1.0, 1.0]


@pytest.mark.parametrize(
    "other",
    [
        Subject("fast", "made up", 1),
        Subject("slow", "made better", 1),
        Subject("slow", "made up", 2),
        Subject("slow", "made up", 1, ("vocals",)),
        Subject("slow", "made up", 1, weights="others"),
    ],
)
def test_another_model_backend_thread_count_or_choice_of_stems_is_timed(clock, tmp_path, other):
    factory, store = Factory(clock), CalibrationStore(tmp_path)
    calibrate(factory, [1.0], SUBJECT, store=store, clock=clock)
    calibrate(factory, [1.0], other, store=store, clock=clock)
    assert factory.made == [1.0, 1.0]
    assert len(list(tmp_path.iterdir())) == 2


def test_timings_age(clock, tmp_path):
    day = CalibrationStore(tmp_path, max_age_seconds=86400, now=clock)
    day.write(SUBJECT, 1.0, RATE, WindowTiming(RATE, 0.1, 0.2))
    assert day.read(SUBJECT) == {1.0: (RATE, WindowTiming(RATE, 0.1, 0.2))}
    assert not CalibrationStore(tmp_path, max_age_seconds=0, now=clock).read(SUBJECT)
    clock.seconds += 86400
    assert not day.read(SUBJECT)
    clock.seconds -= 2 * 86400  # the clock of the machine was put back
    assert not day.read(SUBJECT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"layout": 1}',
        '{"layout": 1, "windows": [1]}',
        '{"layout": 0, "windows": {}}',
        '{"layout": 1, "windows": {"1.0": 3}}',
        '{"layout": 1, "windows": {"one": {}}}',
        b"\xff\xfe\x00",
    ],
)
def test_a_damaged_file_is_timed_anew_and_mended(clock, tmp_path, text):
    factory, store = Factory(clock), CalibrationStore(tmp_path)
    calibrate(factory, [1.0], SUBJECT, store=store, clock=clock)
    (file,) = tmp_path.iterdir()
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    calibrate(factory, [1.0], SUBJECT, store=store, clock=clock)
    assert factory.made == [1.0, 1.0]
    assert calibrate(factory, [1.0], SUBJECT, store=store, clock=clock).cached


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("p50_seconds", 0),
        ("p50_seconds", "quick"),
        ("p99_seconds", 0.01),
        ("p99_seconds", float("inf")),
        ("p50_seconds", float("nan")),
        ("window_frames", 0),
        ("window_frames", float("inf")),
        ("samplerate", None),
        ("measured_at", []),
    ],
)
def test_an_entry_that_cannot_be_is_timed_anew(clock, tmp_path, field, value):
    store = CalibrationStore(tmp_path)
    calibrate(Factory(clock), [2.0, 1.0], SUBJECT, store=store, clock=clock)
    (file,) = tmp_path.iterdir()
    stored = json.loads(read_sealed(file))
    stored["value"]["1.0"][field] = value
    write_sealed(file, json.dumps(stored).encode())
    assert list(store.read(SUBJECT)) == [2.0]


def test_a_folder_that_cannot_be_is_no_trouble(clock, tmp_path):
    (tmp_path / "file").touch()
    store = CalibrationStore(tmp_path / "file" / "below")
    calibration = calibrate(Factory(clock), [1.0], SUBJECT, store=store, clock=clock)
    assert calibration.timings[0].window_frames == RATE


def test_no_part_file_is_left(clock, tmp_path):
    calibrate(Factory(clock), [1.0], SUBJECT, store=CalibrationStore(tmp_path), clock=clock)
    assert [file.suffix for file in tmp_path.iterdir()] == [".json"]


def test_a_user_without_a_home_has_no_store(monkeypatch, clock):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    store = CalibrationStore()
    assert not calibrate(Factory(clock), [1.0], SUBJECT, store=store, clock=clock).cached
    assert not store.read(SUBJECT)


def test_a_streaming_model_is_timed_at_its_own_pace(clock):
    stride, begun = Stride(64, 64), []
    model = AlongTheStream(stride, hops=2, samplerate=RATE)
    begin = model.begin

    def slow():
        stream = begin()

        def go_on(heard):
            begun.append(clock.seconds)
            clock.seconds += 0.003
            return stream(heard)

        return go_on

    def sleep(seconds):
        clock.seconds += seconds

    model.begin = slow
    timing = time_bag(model.bag(), clock=clock, sleep=sleep)
    assert timing.p50_seconds == pytest.approx(0.003)
    np.testing.assert_allclose(np.diff(begun), 2 * 64 / RATE)
