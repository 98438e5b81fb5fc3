"""The delay of the native engine: what a device's blocks make of hop and budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamer.errors import SettingsError
from streamer.live.planning.native import keeps_up, most_behind
from streamer.live.planning.plan import FILTER_FRAMES, DevicePath, PlanRequest
from streamer.live.planning.solver import solve
from streamer.live.realtime.hop_resampler import conversion
from streamer.models.calibration import WindowTiming
from streamer.models.separator import Stride

RATE = 44100
STRIDE = Stride(512, 512)
FADE_FRAMES = 64


def timing(p50_seconds=0.001, p99_seconds=0.002):
    return WindowTiming(STRIDE.window_frames(1), p50_seconds, p99_seconds)


def request(latency_seconds=None, samplerate=RATE, **path):
    return PlanRequest(
        "rt",
        samplerate,
        RATE,
        latency_seconds,
        stride=STRIDE,
        engine="native",
        path=DevicePath(**path),
    )


@pytest.mark.parametrize(
    ("block_frames", "hop_frames", "compute_frames"),
    [
        (64, 448, 256),  # 45% of a hop are 231 frames: four blocks
        (128, 384, 256),
        (512, 0, 512),
        (1024, 0, 1024),
        (100, 508, 300),  # hops and blocks begin together only every 12800 frames
    ],
)
def test_on_one_stream_a_hop_waits_for_blocks_and_computing_takes_blocks(
    block_frames, hop_frames, compute_frames
):
    delay = solve(request(block_frames=block_frames), [timing()]).delay
    assert (delay.hop_frames, delay.compute_frames) == (hop_frames, compute_frames)
    assert delay.frames == hop_frames + 512 + compute_frames + FADE_FRAMES


def test_a_short_hop_has_a_short_fade_so_that_all_is_224_frames():
    stride = Stride(64, 128)
    wanted = replace(request(block_frames=64), stride=stride)
    timed = [WindowTiming(stride.window_frames(1), 0.0004, 0.002)]
    plan = solve(wanted, timed)
    assert plan.fade_frames == plan.delay.overhead_frames == 32
    assert (plan.delay.hop_frames, plan.delay.lookahead_frames) == (0, 128)
    assert (plan.delay.compute_frames, plan.delay.frames) == (64, 224)
    assert solve(replace(wanted, samplerate=96000), timed).fade_frames == FADE_FRAMES


def test_the_budget_is_at_most_a_hop_however_busy_the_machine_was_when_it_was_timed():
    delay = solve(request(block_frames=512), [timing(p99_seconds=0.1)]).delay
    assert delay.frames / RATE <= 0.032
    assert delay.compute_frames == 512


@pytest.mark.parametrize("rate", [32000, 44100, 48000, 88200, 96000])
@pytest.mark.parametrize("stride", [STRIDE, Stride(64, 128), Stride(128, 0)], ids=str)
def test_the_delay_is_no_frame_longer_or_shorter_than_blocks_hops_and_filters_make_it(rate, stride):
    there, back = conversion(rate, RATE, 1, 1), conversion(RATE, rate, 1, 1)
    hop_frames = stride.hop_frames
    for block_frames in (64, 100, 512, 1024, 1764):
        # from block to block there are no more differences than these
        blocks = np.arange(100, 100 + hop_frames * there.down)
        captured = blocks * block_frames
        hops = -((there.ahead - captured) * there.up // there.down) // hop_frames
        stems = hops * hop_frames - stride.lookahead_frames
        behind = captured + (back.ahead - stems) * back.up // back.down
        planned = PlanRequest(
            "rt", rate, RATE, stride=stride, path=DevicePath(block_frames=block_frames)
        )
        assert most_behind(planned, hop_frames) == max(behind)


def test_at_another_rate_both_filters_cost_1600_us_in_all():
    plan = solve(request(block_frames=64, samplerate=48000), [timing()])
    assert plan.delay.resampling_frames == 38 + 39
    assert plan.delay.frames == 554 + 558 + 77 + 256 + FADE_FRAMES


@pytest.mark.parametrize("block_frames", [64, 128, 256])
def test_at_48_khz_too_it_is_at_most_32_ms(block_frames):
    """With a model of which a hop in a hundred takes 2.9 ms."""
    timed = timing(p99_seconds=0.0029)
    delay = solve(request(block_frames=block_frames, samplerate=48000), [timed]).delay
    assert delay.frames <= 0.032 * 48000


def test_two_streams_cost_a_block_and_what_the_filter_looks_ahead():
    delay = solve(request(block_frames=512, streams="two"), [timing()]).delay
    assert delay.overhead_frames == FADE_FRAMES + 512 + FILTER_FRAMES
    assert delay.compute_frames < 512


def test_bursts_of_a_sound_server_cost_what_they_bring():
    plain, bursts = (
        solve(request(streams="two", burst_blocks=blocks), [timing()]).delay for blocks in (0, 2)
    )
    assert bursts.frames - plain.frames == 2 * 512


def test_all_that_a_promise_leaves_is_budget():
    plan = solve(request(0.1), [timing()])
    assert plan.delay.total_frames == 4410
    assert plan.note is None


def test_a_promise_that_cannot_be_kept_is_refused():
    with pytest.raises(SettingsError, match=r"latency=0.02 must be at least 0.025 seconds"):
        solve(request(0.02), [timing()])


def test_a_model_keeps_up_that_takes_at_most_four_fifths_of_its_hops():
    assert keeps_up(request(), timing(0.009, 0.1))
    assert not keeps_up(request(), timing(0.0094, 0.1))


def test_the_plan_tells_the_engine():
    rows = {row[0]: row for row in solve(request(), [timing()]).rows()}
    assert rows["engine"][1] == "native"
    assert rows["overhead"][2] == "fade"
