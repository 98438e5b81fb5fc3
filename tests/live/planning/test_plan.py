"""The solver: what every plan keeps, what it prefers, and what it says where there is none."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamer.errors import ModelError, SettingsError
from streamer.live.overload.ladder import make_rungs
from streamer.live.planning.plan import DelayBudget, DevicePath, PlanRequest, delay_of
from streamer.live.planning.prepare import stand_in, subject
from streamer.live.planning.solver import (
    LEAST_BUDGET_SECONDS,
    OPERATING_POINTS,
    PEAK_LOAD,
    USUAL_OPERATING_POINT,
    candidate_windows,
    solve,
    stream_windows,
)
from streamer.live.settings import LiveSettings
from streamer.models import load
from streamer.models.calibration import WindowTiming
from streamer.models.separator import Bag, Stride

RATE = 44100
MINI = (WindowTiming(2 * RATE, 0.085, 0.11), WindowTiming(RATE, 0.065, 0.085))
"""The embedded model on two cores."""
USUAL = PlanRequest("htdemucs_mini", RATE, RATE)

seconds = st.floats(0.001, 10)
paths = st.builds(
    DevicePath,
    block_frames=st.integers(1, 8192),
    poll_seconds=st.floats(0, 0.02),
    fade_frames=st.integers(0, 1024),
    resampling_frames=st.integers(0, 8192),
    input_latency_seconds=st.floats(0, 0.3),
    output_latency_seconds=st.floats(0, 0.3),
)
requests = st.builds(
    PlanRequest,
    model=st.just("any"),
    samplerate=st.sampled_from([8000, 22050, 44100, 48000, 96000, 192000]),
    model_samplerate=st.sampled_from([8000, 44100, 48000]),
    latency_seconds=st.none() | seconds,
    hop_seconds=st.none() | seconds,
    lookahead_seconds=st.none() | st.floats(0, 5),
    shifts=st.integers(0, 4),
    path=paths,
)


@st.composite
def timing_lists(draw):
    timings = []
    for _ in range(draw(st.integers(1, 3))):
        p50_seconds = draw(st.floats(1e-4, 3))
        p99_seconds = p50_seconds * draw(st.floats(1.0, 3))
        timings.append(WindowTiming(draw(st.integers(500, 400_000)), p50_seconds, p99_seconds))
    return timings


ADVICE = re.compile(
    r"(?P<name>latency|hop|lookahead)=\S+ must be at (least|most) (?P<value>\S+) seconds with any "
    r"on this machine; try (?P=value)(, or .*)?"
)


def follow(request, timings):
    """Take the advice of each refusal; return whether it leads to a plan, and not to "too slow"."""
    for _ in range(5):
        try:
            solve(request, timings)
        except ModelError:
            return False
        except SettingsError as error:
            told = str(error)
        else:
            return True
        advice = ADVICE.fullmatch(told)
        assert advice, told
        request = replace(request, **{f"{advice['name']}_seconds": float(advice["value"])})
    raise AssertionError("the advice leads nowhere")


# what every plan keeps ---------------------------------------------------------------------------


@given(request=requests, timings=timing_lists())
@settings(max_examples=150, deadline=None)
def test_every_plan_keeps_the_rules(request, timings):
    try:
        plan = solve(request, timings)
    except (SettingsError, ModelError):
        return
    assert plan == solve(request, list(timings)), "the same question, the same answer"
    assert plan.window_frames in [timing.window_frames for timing in timings]
    assert plan.peak_load <= PEAK_LOAD * (1 + 1e-12)
    assert plan.hop_frames >= 1
    assert plan.context_frames >= 0
    assert 0 <= plan.crossfade_frames <= min(plan.hop_frames, plan.lookahead_frames)
    assert (
        plan.budget_seconds >= max(plan.timing.p99_seconds / PEAK_LOAD, LEAST_BUDGET_SECONDS) - 1e-9
    )
    if request.hop_seconds is not None:
        assert plan.hop_frames == round(request.hop_seconds * request.model_samplerate)
    if request.lookahead_seconds is not None:
        assert plan.lookahead_frames == round(request.lookahead_seconds * request.model_samplerate)
    if request.latency_seconds is not None:
        assert plan.delay_seconds <= request.latency_seconds + 1e-9


@given(request=requests, timings=timing_lists())
@settings(max_examples=150, deadline=None)
def test_the_parts_sum_to_the_delay(request, timings):
    try:
        plan = solve(request, timings)
    except (SettingsError, ModelError):
        return
    delay, path = plan.delay, request.path
    inner = (
        delay.hop_frames
        + delay.lookahead_frames
        + delay.compute_frames
        + delay.overhead_frames
        + delay.resampling_frames
    )
    assert delay.frames == inner
    assert delay.total_frames == inner + delay.device_input_frames + delay.device_output_frames
    assert delay.resampling_frames == path.resampling_frames
    # no part is shorter than what it stands for, and none by a whole frame longer
    for part_frames, true_seconds in (
        (delay.hop_frames, plan.hop_frames / request.model_samplerate),
        (delay.lookahead_frames, plan.lookahead_frames / request.model_samplerate),
        (delay.device_input_frames, path.input_latency_seconds),
        (delay.device_output_frames, path.output_latency_seconds),
        (delay.overhead_frames - path.block_frames - path.fade_frames, 2 * path.poll_seconds),
    ):
        assert -1e-5 < part_frames - true_seconds * request.samplerate < 1


@given(request=requests, timings=timing_lists())
@settings(max_examples=150, deadline=None)
@example(request=replace(USUAL, latency_seconds=0.001), timings=list(MINI))
@example(request=replace(USUAL, hop_seconds=0.05), timings=list(MINI))
@example(request=replace(USUAL, hop_seconds=9.0), timings=list(MINI))
@example(request=replace(USUAL, lookahead_seconds=3.0, hop_seconds=0.5), timings=list(MINI))
def test_the_advice_of_a_refusal_is_good(request, timings):
    if not follow(replace(request, model="any"), timings):
        # then nothing helps: not even the hop of a whole window
        free = replace(request, latency_seconds=None, hop_seconds=None, lookahead_seconds=None)
        with pytest.raises(ModelError):
            solve(free, timings)


@given(request=requests, timings=timing_lists())
@settings(max_examples=150, deadline=None)
def test_the_least_latency_is_told_at_once_and_is_the_least(request, timings):
    try:
        free = solve(replace(request, latency_seconds=None), timings)
    except (SettingsError, ModelError):
        return
    with pytest.raises(SettingsError, match=r"^latency=1e-06 must be at least") as refused:
        solve(replace(request, latency_seconds=1e-6), timings)
    least_seconds = float(re.search(r"at least (\S+) seconds", str(refused.value))[1])
    plan = solve(replace(request, latency_seconds=least_seconds), timings)
    assert least_seconds - 0.001 - 1e-9 < plan.delay_seconds <= least_seconds + 1e-9
    # the least is told in whole milliseconds, rounded up, and a plan may use them
    assert plan.delay.total_frames <= free.delay.total_frames + 0.001 * request.samplerate
    with pytest.raises(SettingsError):
        solve(replace(request, latency_seconds=least_seconds - 0.0011), timings)


@given(timings=timing_lists(), more=st.floats(0, 2), path=paths)
@settings(max_examples=150, deadline=None)
def test_a_longer_promise_is_never_refused_and_never_loads_more(timings, more, path):
    request = replace(USUAL, path=path, latency_seconds=3.0)
    try:
        plan = solve(request, timings[:1])
    except (SettingsError, ModelError):
        return
    longer = solve(replace(request, latency_seconds=3.0 + more), timings[:1])
    assert longer.load <= plan.load
    assert longer.lookahead_frames >= plan.lookahead_frames
    assert longer.timing == plan.timing


# what it prefers ---------------------------------------------------------------------------------


def test_without_a_promise_the_usual_is_chosen():
    plan = solve(USUAL, MINI)
    assert plan.window_frames == 2 * RATE
    assert 0.5 <= plan.load <= 0.6
    assert 0.1 <= plan.lookahead_frames / RATE <= 0.25
    assert plan.delay.compute_frames == plan.delay.hop_frames
    assert plan.context_frames >= plan.window_frames / 2
    assert 0.4 < plan.delay_seconds < 0.6


def test_a_short_promise_costs_lookahead_and_load():
    usual = solve(USUAL, MINI)
    short = solve(replace(USUAL, latency_seconds=0.35), MINI)
    assert short.delay_seconds <= 0.35
    assert short.load > usual.load
    assert short.lookahead_frames < usual.lookahead_frames


def test_a_very_short_promise_takes_the_shorter_window():
    with pytest.raises(SettingsError) as refused:
        solve(replace(USUAL, latency_seconds=0.28), MINI[:1])
    assert str(refused.value) == (
        "latency=0.28 must be at least 0.317 seconds with htdemucs_mini on this machine; "
        "try 0.317, or a smaller model"
    )
    assert solve(replace(USUAL, latency_seconds=0.28), MINI).window_frames == RATE


def test_the_wishes_go_down():
    for more, less in itertools.pairwise(OPERATING_POINTS):
        assert more.lookahead_seconds >= less.lookahead_seconds
        assert more.hop_seconds >= less.hop_seconds
        assert more.load <= less.load
        assert more.context_share >= less.context_share
    assert OPERATING_POINTS[-1].load == PEAK_LOAD
    assert OPERATING_POINTS[-1].context_share == 0
    assert 0.5 <= OPERATING_POINTS[USUAL_OPERATING_POINT].load <= 0.6


def test_what_is_left_of_a_promise_goes_to_the_budget_up_to_a_hop():
    fixed = replace(USUAL, hop_seconds=0.15, lookahead_seconds=0.1)
    budgets = []
    for ms in range(410, 600, 5):
        plan = solve(replace(fixed, latency_seconds=ms / 1000), MINI[:1])
        assert plan.delay.compute_frames <= plan.delay.hop_frames
        budgets.append(plan.budget_seconds)
    assert budgets == sorted(budgets)
    assert budgets[0] < budgets[-1] == pytest.approx(0.15)


def test_shifts_and_members_run_one_after_the_other():
    one, four = (solve(replace(USUAL, shifts=shifts), MINI) for shifts in (0, 4))
    assert four.timing.p99_seconds == 4 * one.timing.p99_seconds
    assert four.hop_frames == pytest.approx(4 * one.hop_frames, rel=0.01)
    assert solve(replace(USUAL, shifts=1), MINI).timing == one.timing


def test_a_model_that_costs_nothing_does_not_spin():
    plan = solve(USUAL, [WindowTiming(2 * RATE, 1e-4, 1e-3)])
    assert plan.hop_seconds == pytest.approx(0.1)
    least = solve(replace(USUAL, latency_seconds=0.09), [WindowTiming(2 * RATE, 1e-4, 1e-3)])
    assert least.hop_seconds >= 0.02


def test_a_heavy_model_gives_up_context_before_it_is_refused():
    plan = solve(USUAL, [WindowTiming(2 * RATE, 1.1, 1.4)])
    assert plan.hop_seconds == pytest.approx(1.4 / PEAK_LOAD, abs=1e-4)
    assert 0 <= plan.context_frames < RATE / 2


def test_device_rate_and_model_rate_are_kept_apart():
    request = replace(USUAL, samplerate=48000, path=DevicePath(512, 0.002, 256, 2988, 0.01, 0.02))
    plan = solve(request, MINI)
    assert plan.hop_frames == solve(USUAL, MINI).hop_frames
    assert plan.delay == DelayBudget(
        hop_frames=math.ceil(plan.hop_frames * 48000 / 44100),
        lookahead_frames=9600,
        compute_frames=plan.delay.hop_frames,
        overhead_frames=512 + 256 + 192,
        resampling_frames=2988,
        device_input_frames=480,
        device_output_frames=960,
    )
    assert plan.delay == delay_of(
        request, plan.hop_frames, plan.lookahead_frames, plan.delay.compute_frames
    )


# what it says ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"latency_seconds": 0.0}, "latency=0 must be over 0 seconds; try 0.5"),
        ({"latency_seconds": math.nan}, "latency=nan must be over 0 seconds; try 0.5"),
        ({"hop_seconds": -1.0}, "hop=-1 must be over 0 seconds; try 0.2"),
        ({"hop_seconds": math.inf}, "hop=inf must be over 0 seconds; try 0.2"),
        ({"lookahead_seconds": -0.1}, "lookahead=-0.1 must be 0 or more seconds; try 0.2"),
        (
            {"hop_seconds": 0.1},
            "hop=0.1 must be at least 0.106259 seconds with htdemucs_mini on this machine; "
            "try 0.106259",
        ),
        (
            {"hop_seconds": 3.0, "lookahead_seconds": 0.5},
            "hop=3 must be at most 1.5 seconds with htdemucs_mini on this machine; try 1.5",
        ),
        (
            {"lookahead_seconds": 2.0},
            "lookahead=2 must be at most 1.862494 seconds with htdemucs_mini on this machine; "
            "try 1.862494, or a longer window",
        ),
        (
            {"hop_seconds": 0.2, "lookahead_seconds": 0.1, "crossfade_seconds": 0.15},
            "crossfade=0.15 must be at most 0.1 seconds, since hop and lookahead are no shorter; "
            "try 0.1",
        ),
    ],
)
def test_refusals(change, sentence):
    with pytest.raises(SettingsError) as refused:
        solve(replace(USUAL, **change), MINI)
    assert str(refused.value) == sentence


def test_a_hop_is_no_shorter_than_a_block():
    free = WindowTiming(2 * RATE, 1e-4, 1.2e-4)
    request = replace(USUAL, samplerate=48000, path=DevicePath(16384))
    assert solve(request, [free]).hop_frames == math.ceil(16384 * 44100 / 48000)
    with pytest.raises(SettingsError, match=r"hop=0.2 must be at least 0.34\d+ seconds"):
        solve(replace(request, hop_seconds=0.2), [free])


def test_a_crossfade_that_is_given_holds_on_every_rung():
    plan = solve(replace(USUAL, crossfade_seconds=0.01), MINI)
    assert plan.crossfade_frames == 441
    assert {rung.plan.crossfade_frames for rung in make_rungs(plan)} == {441}
    assert solve(replace(USUAL, crossfade_seconds=0.0), MINI).crossfade_frames == 0


def test_what_is_timed_tells_models_and_devices_apart(tmp_path):
    bag = load("passthrough")
    timed = [
        subject(LiveSettings(**given), made)
        for given, made in (
            ({}, bag),
            ({}, replace(bag, backend="openvino float32 cpu")),
            ({}, replace(bag, weights="others of that name")),
            ({"torch_num_threads": 1}, bag),
            ({}, replace(bag, device="cuda")),
            ({"device": "cuda:1"}, replace(bag, device="cuda")),
        )
    ]
    assert timed[1].backend == "openvino float32 cpu"
    assert len(set(timed)) == 6


@pytest.mark.usefixtures("timings")
def test_a_stand_in_has_the_same_windows_to_the_frame():
    frames = 5516  # its seconds, times the rate, are a little less
    plan = solve(replace(USUAL, model="big"), [WindowTiming(frames, 0.01, 0.012)])
    big = Bag("big", load("passthrough").members, load("passthrough").names, RATE, 2)
    smaller = stand_in(
        LiveSettings(), big, plan, lambda wish: load("passthrough", window=wish.window)
    )
    assert smaller.timing.window_frames == frames


def test_no_stereo_model_stands_in_for_a_mono_one():
    plan = solve(replace(USUAL, model="big"), [WindowTiming(5516, 0.01, 0.012)])
    mono = Bag("big", load("passthrough").members, load("passthrough").names, RATE, 1)
    assert stand_in(LiveSettings(), mono, plan, lambda _: load("passthrough")) is None


def test_a_model_slower_than_real_time():
    with pytest.raises(ModelError) as refused:
        solve(USUAL, [WindowTiming(2 * RATE, 2.0, 2.5), WindowTiming(RATE, 1.2, 1.5)])
    assert str(refused.value) == (
        "htdemucs_mini is too slow for live on this machine: a window of 2 s takes it 2.5 s; "
        "try a smaller model, or fewer shifts"
    )


def test_windows_to_try():
    assert candidate_windows(7.8) == [2.0, 1.0]
    assert candidate_windows(1.5) == [1.0]
    assert candidate_windows(0.5) == [0.5]
    assert candidate_windows(7.8, 3.9) == [3.9]
    assert candidate_windows(7.8, 7.8) == [7.8]
    for wrong in (0.0, -1.0, 8.0, math.nan):
        with pytest.raises(SettingsError, match=r"^window=.* at most 7.8 seconds .*; try 2$"):
            candidate_windows(7.8, wrong)


def test_the_table_holds_every_part():
    request = replace(
        USUAL,
        samplerate=48000,
        latency_seconds=0.6,
        path=DevicePath(512, 0.002, 256, 2988, 0.01, 0.02),
    )
    plan = solve(request, MINI)
    rows = {name: value for name, value, _ in plan.rows()}
    parts = ("hop", "lookahead", "compute", "overhead", "resampling", "device in", "device out")
    assert set(rows) == {"window", "crossfade", *parts, "delay", "load", "engine"}
    assert rows["window"] == "2.000 s"
    assert rows["device out"] == "0.020 s"
    assert rows["load"] == f"{plan.load:.0%}"
    total_seconds = sum(float(rows[part].split()[0]) for part in parts)
    assert float(rows["delay"].split()[0]) == pytest.approx(total_seconds, abs=0.004)
    assert ("delay", f"{plan.delay_seconds:.3f} s", "promised: 0.6 s") in plan.rows()
    assert any(told == "no promise was asked for" for _, _, told in solve(USUAL, MINI).rows())


# A model that goes along the stream ------------------------------------------------------------

STRIDE = Stride(512, 512)
ALONG = replace(USUAL, model="rt_mini", stride=STRIDE)


def along(*milliseconds):
    """Timings for 1, 2, 4 and 8 hops."""
    return [
        WindowTiming(STRIDE.window_frames(hops), one / 1000, 1.2 * one / 1000)
        for hops, one in zip((1, 2, 4, 8), milliseconds, strict=True)
    ]


def test_along_the_stream_the_hop_is_as_short_as_is_easy():
    assert stream_windows(STRIDE, RATE, None) == [
        STRIDE.window_frames(hops) / RATE for hops in (1, 2, 4, 8)
    ]
    quick = solve(ALONG, along(3, 4, 6, 10))
    assert (quick.hop_frames, quick.lookahead_frames, quick.crossfade_frames) == (512, 512, 0)
    assert quick.context_frames == STRIDE.context_frames
    assert quick.budget_seconds == pytest.approx(LEAST_BUDGET_SECONDS, abs=1e-4)
    assert quick.delay_seconds < 0.07
    assert solve(ALONG, along(7, 8, 10, 20)).hop_frames == 1024, "the first has a load of 60%"
    assert solve(ALONG, along(30, 30, 27, 60)).hop_frames == 2048, "none is easy"
    with pytest.raises(ModelError, match=r"a hop of 0\.093 s takes it 0\.12 s; try a smaller"):
        solve(ALONG, along(30, 40, 60, 100))


def test_along_the_stream_a_promise_buys_ease():
    promised = solve(replace(ALONG, latency_seconds=0.2), along(3, 4, 6, 10))
    assert promised.hop_frames == 4096
    assert promised.delay_seconds <= 0.2
    assert promised.budget_seconds > LEAST_BUDGET_SECONDS
    with pytest.raises(SettingsError, match=r"latency=0\.03 must be at least 0\.0\d+ seconds"):
        solve(replace(ALONG, latency_seconds=0.03), along(3, 4, 6, 10))


def test_along_the_stream_a_hop_is_whole_hops():
    assert stream_windows(STRIDE, RATE, 0.03) == [STRIDE.window_frames(3) / RATE]
    assert stream_windows(STRIDE, RATE, 0.001) == [STRIDE.window_frames(1) / RATE]
    fixed = replace(ALONG, hop_seconds=0.0116)
    assert solve(fixed, along(3, 4, 6, 10)[:1]).hop_frames == 512
    with pytest.raises(SettingsError, match=r"must be at least 0\.02322 seconds .*; try 0\.02322$"):
        solve(fixed, along(10, 4, 6, 10)[:1])
    advised = stream_windows(STRIDE, RATE, 0.02322)
    assert advised == [STRIDE.window_frames(2) / RATE]
    blocks = replace(ALONG, path=replace(ALONG.path, block_frames=8192))
    with pytest.raises(SettingsError, match=r"8192 frames must be at most 4096 with rt_mini"):
        solve(blocks, along(3, 4, 6, 10))


def test_along_the_stream_there_is_nothing_to_widen():
    assert [rung.name for rung in make_rungs(solve(ALONG, along(3, 4, 6, 10)))] == [
        "as planned",
        "dry",
    ]
