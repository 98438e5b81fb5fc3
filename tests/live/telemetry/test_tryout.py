"""The silent beginning of a run through a sound server: how long it lasts, and what it finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from live.support.causal import small_causal
from live.support.staging import card, noise_source, prepared

from streamer.live.parts import RunParts
from streamer.live.telemetry.tryout import (
    LEAST_SECONDS,
    MORE_SECONDS,
    REPEAT_SECONDS,
    Tryout,
)
from streamer.pipeline.schedule import Schedule
from streamer.pipeline.windows import Window
from streamer.pipeline.worker import WindowJob
from streamer.testing.virtual import VirtualBackend

RATE, BLOCK, SPARE = 44100, 512, 1024
PERIOD = 15  # windows, of 10 ms: as PulseAudio's pattern


def tried(late: list[float]) -> tuple[int, Tryout]:
    """Take windows, one each 10 ms, until it is over; return how many, and the tryout."""
    tryout = Tryout(RATE, SPARE)
    for number, late_frames in enumerate(late):
        tryout.take(late_frames, 0.01 * number)
        if tryout.over:
            return number, tryout
    return len(late), tryout


def pattern(windows: int, latest: float = 300.0) -> list[float]:
    return [latest - 40.0 * (number % PERIOD) for number in range(windows)]


def test_it_ends_where_the_latest_windows_come_again() -> None:
    windows, tryout = tried(pattern(300))
    assert windows == pytest.approx(LEAST_SECONDS / 0.01, abs=1)
    assert tryout.more_frames(-5.0) == 300 + SPARE


def test_it_goes_on_as_long_as_windows_come_later_than_all_before() -> None:
    rising = [20.0 + 60.0 * (number // PERIOD) for number in range(90)]
    windows, tryout = tried(rising + pattern(300, max(rising)))
    last = rising.index(max(rising))
    assert windows == pytest.approx(last + REPEAT_SECONDS / 0.01, abs=1)
    assert tryout.more_frames(0.0) == max(rising) + SPARE


def test_clocks_that_wander_do_not_prolong_it() -> None:
    step = MORE_SECONDS * RATE / 10
    windows, _ = tried([late + step * (at // PERIOD) for at, late in enumerate(pattern(300))])
    assert windows == pytest.approx(LEAST_SECONDS / 0.01, abs=1)


def test_it_goes_on_where_windows_come_later_little_by_little() -> None:
    """As with short hops, each of which is a little later than the one before."""
    step = MORE_SECONDS * RATE / 5
    rising = [step * number for number in range(100)]
    windows, tryout = tried(rising + pattern(300, rising[-1]))
    assert windows == pytest.approx(99 + REPEAT_SECONDS / 0.01, abs=5)
    assert tryout.more_frames(0.0) == math.ceil(rising[-1]) + SPARE


def test_windows_of_which_nothing_is_known_do_not_end_it() -> None:
    unknown = 100
    windows, tryout = tried([-math.inf] * unknown + pattern(300))
    assert windows == pytest.approx(unknown + REPEAT_SECONDS / 0.01, abs=1)
    assert tryout.more_frames(0.0) == 300 + SPARE


def test_it_lasts_by_the_windows_own_times_however_late_python_looks(tmp_path) -> None:
    """What is done beside it, as the last of a start, takes none of its time."""
    device = card(noise_source(seconds=1, rate=RATE), rate=RATE, hostapi="ALSA")
    backend, bag = VirtualBackend([device]), small_causal(tmp_path)
    wish = {"hop": None, "lookahead": None, "route": ["drums=1,2"], "window_seconds": 0.001}
    ready = prepared(backend, lambda _: bag, **wish)
    parts = RunParts.make(ready, backend, lambda _: None, backend.run_clock)
    schedule = Schedule.live(BLOCK, BLOCK, 0, 0)
    for number in range(80):
        window = Window(0, number * BLOCK, BLOCK, 0, np.zeros((1, 2), "f4"), schedule)
        at, stems = 0.01 * number, np.zeros((1, 1, 2), "f4")
        job = WindowJob(window, lambda _: None, at, at, at, stems=stems, played_to=-1e6)
        parts.observer.finished(job, 5.0)
    assert parts.observer.tryout is not None
    assert parts.observer.tryout.over
