"""The delay of the native engine, which no poll and no interpreter holds up.

A device calls once a block: it hands over what it recorded, and takes what it plays. On one stream
both happen in the same call. So a hop is full at a call, and its stems are wanted at a later one:

- of a hop, only what a block lacks of it is waited for: a block that holds a hop brings it whole;
- the model has until a call to compute: whole blocks;
- where the device has another rate than the model, no block brings just a hop, and hop and stems
  wait for what the filters look ahead (`streamer.live.realtime.hop_resampler`).

Two streams call at any time: then the output's block, and what its filter looks ahead, come on top.
So do the blocks that a sound server brings at once.
"""

from __future__ import annotations

import math
from typing import Final

from streamer.live.planning.plan import (
    FILTER_FRAMES,
    DelayBudget,
    DevicePath,
    LivePlan,
    PlanRequest,
    fade_frames_of,
    frames_up,
)
from streamer.live.realtime.hop_resampler import frames_ahead
from streamer.models.calibration import WindowTiming
from streamer.models.separator import Bag, Stride

MOST_LOAD: Final = 0.8
"""The most of a hop that computing may usually take, and of a budget that it may ever take."""
WAKE_SECONDS: Final = 0.0003
"""What passes at most, mostly, before a hop that is full is seen."""
LEAST_BUDGET: Final = 0.45
"""The least of a hop that the model has: it computes slower between other programs than when it was
timed, and now and then a system is away for a millisecond or two."""

BLOCKS: Final = (64, 128, 256, 512, 1024)
"""The frames of a device block that a run chooses among."""


def soonest_block(bag: Bag, samplerate: int) -> int:
    """Return the block with which stems come soonest; of several, the longest.

    So it is at one device for both directions, where the model has all the time that it needs.
    """
    assert bag.stride is not None
    timing = WindowTiming(bag.stride.window_frames(1), 0.0, 0.0)

    def delay(block_frames: int) -> int:
        request = PlanRequest(
            bag.name, samplerate, bag.samplerate, stride=bag.stride, path=DevicePath(block_frames)
        )
        return native_draft(request, timing).delay.frames

    return min(reversed(BLOCKS), key=delay)


def keeps_up(request: PlanRequest, timing: WindowTiming) -> bool:
    """Return whether a hop is computed before the next is full."""
    hop_seconds = _stride(request).new_frames(timing.window_frames) / request.model_samplerate
    return timing.p50_seconds <= MOST_LOAD * hop_seconds


def native_draft(request: PlanRequest, timing: WindowTiming) -> LivePlan:
    """Return the plan with the least delay for windows that bring one hop.

    The budget is what the slowest hops take, and at least a part of a hop. It is at most a hop:
    then the next is due.
    """
    stride, path, rate = _stride(request), request.path, request.samplerate
    block_frames, model_rate = path.block_frames, request.model_samplerate
    hop_frames = stride.new_frames(timing.window_frames)
    lookahead_frames = -(-stride.lookahead_frames * rate // model_rate)
    resampling_frames = frames_ahead(rate, model_rate)
    resampling_frames += -(-frames_ahead(model_rate, rate) * rate // model_rate)
    waiting_frames = most_behind(request, hop_frames) - lookahead_frames - resampling_frames
    compute_frames = frames_up((timing.p99_seconds / MOST_LOAD + WAKE_SECONDS) * rate)
    whole_frames = hop_frames * rate // model_rate
    compute_frames = min(max(compute_frames, frames_up(LEAST_BUDGET * whole_frames)), whole_frames)
    overhead_frames = fade_frames_of(request, hop_frames)
    overhead_frames += path.burst_blocks * block_frames
    if path.streams == "one":
        compute_frames = -(-compute_frames // block_frames) * block_frames
    else:
        overhead_frames += block_frames + FILTER_FRAMES
    delay = DelayBudget(
        hop_frames=max(waiting_frames, 0),
        lookahead_frames=lookahead_frames,
        compute_frames=compute_frames,
        overhead_frames=overhead_frames,
        resampling_frames=resampling_frames,
        device_input_frames=frames_up(path.input_latency_seconds * rate),
        device_output_frames=frames_up(path.output_latency_seconds * rate),
    )
    return LivePlan(request, timing, hop_frames, stride.lookahead_frames, 0, delay)


def most_behind(request: PlanRequest, hop_frames: int) -> int:
    """Return how far behind the input the stems are at most just after a block, in its frames, if
    computing took no time.

    From ``captured`` frames `streamer.live.realtime.hop_resampler.frames_made` makes those that
    hops are cut from, and from the stems of these hops those that are given. Of all that, only the
    rest of the division by a hop differs from block to block: it goes in steps of ``step``, so the
    largest is known.
    """
    rate, model_rate = request.samplerate, request.model_samplerate
    common = math.gcd(rate, model_rate)
    up, down = model_rate // common, rate // common
    ahead, ahead_back = frames_ahead(rate, model_rate), frames_ahead(model_rate, rate)
    step = math.gcd(request.path.block_frames * up, hop_frames * down)
    rest = hop_frames * down - step + (down - 1 - ahead * up) % step
    stems_behind = _stride(request).lookahead_frames + ahead_back
    return ahead + ((stems_behind - 1) * down + rest + 1) // up


def _stride(request: PlanRequest) -> Stride:
    assert request.stride is not None
    return request.stride
