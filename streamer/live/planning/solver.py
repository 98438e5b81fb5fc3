"""Which window, hop and lookahead keep a promised latency on this machine.

::

    lengths = candidate_windows(longest_seconds)
    plan = solve(request, calibrate(make_bag, lengths, subject).timings)
    plan.delay.frames     # what every output lags behind the input, constant
    plan.rows()           # for a table

All here is a pure function of its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from streamer.errors import ModelError, SettingsError
from streamer.live.planning.native import native_draft
from streamer.live.planning.plan import ROUNDING_FRAMES, LivePlan, PlanRequest, delay_of, frames_up
from streamer.models.calibration import WindowTiming
from streamer.models.separator import Stride
from streamer.settings import CROSSFADE_SECONDS

PEAK_LOAD: Final = 0.8
"""The most of a hop that the p99 of the compute time may take."""
LEAST_BUDGET_SECONDS: Final = 0.02
"""However fast the model is, threads wait for the interpreter, and stitching takes its time."""
WINDOW_SECONDS: Final = (2.0, 1.0)
"""The windows that are tried, the preferred one first. Over ten songs the embedded model lost
0.1 dB SDR with 1 s against 2 s, whatever the lookahead, and won 0.05 dB with 3 s, for a third more
work."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What is asked of a plan beyond keeping its promise."""

    lookahead_seconds: float
    hop_seconds: float
    load: float
    context_share: float


OPERATING_POINTS: Final = (
    OperatingPoint(0.25, 0.10, 0.50, 0.50),
    OperatingPoint(0.20, 0.10, 0.55, 0.50),
    OperatingPoint(0.15, 0.10, 0.60, 0.50),
    OperatingPoint(0.10, 0.05, 0.65, 0.25),
    OperatingPoint(0.10, 0.05, PEAK_LOAD, 0.25),
    OperatingPoint(0.05, 0.02, PEAK_LOAD, 0.0),
    OperatingPoint(0.02, 0.02, PEAK_LOAD, 0.0),
)
"""From the most to the least: the first that the promise has room for is taken. In a window of
2 s a lookahead of 0.5 s brought nothing over 0.25 s: it takes from the context."""
USUAL_OPERATING_POINT: Final = 1
"""Where the search begins without a promise."""
STREAM_HOPS: Final = (1, 2, 4, 8)
"""How much a model that goes along the stream may be given at a time, in its own hops."""
STREAM_LOAD: Final = 0.5
"""Up to this load its hop is as short as can be; a longer one brings only ease."""


def candidate_windows(longest_seconds: float, wanted_seconds: float | None = None) -> list[float]:
    """Return the window lengths to calibrate, the preferred one first.

    ``longest_seconds`` is the model's own window; ``wanted_seconds`` is the one fixed by hand.

    Raises:
        SettingsError: the wanted window is longer than the model's.
    """
    if wanted_seconds is None:
        return [seconds for seconds in WINDOW_SECONDS if seconds < longest_seconds] or [
            longest_seconds
        ]
    if not 0 < wanted_seconds <= longest_seconds:
        usual = min(WINDOW_SECONDS[0], longest_seconds)
        raise SettingsError(
            f"window={wanted_seconds:g} must be over 0 and at most {longest_seconds:g} seconds for "
            f"this model; try {usual:g}"
        )
    return [wanted_seconds]


def stream_windows(stride: Stride, samplerate: int, hop_seconds: float | None) -> list[float]:
    """Return the windows to calibrate of a model that goes along the stream, the shortest first.

    They bring it `STREAM_HOPS` of its own hops, or as many as come nearest to the wanted hop.
    """
    hops: Sequence[int] = STREAM_HOPS
    if hop_seconds is not None:
        hops = [max(1, round(hop_seconds * samplerate / stride.hop_frames))]
    return [stride.window_frames(count) / samplerate for count in hops]


def solve(request: PlanRequest, timings: Sequence[WindowTiming]) -> LivePlan:
    """Return the plan that keeps the promise: with the preferred window, if it can, and the
    first operating point that it has room for.

    ``timings`` are of one pass over all members, the preferred window first. What the promise
    leaves over goes to the compute budget, up to a whole hop.

    Raises:
        SettingsError: the promise, or the hop, lookahead or crossfade that is fixed by hand, cannot
            be kept; it names the nearest value that can.
        ModelError: the model is too slow for any of them.
    """
    _check(request)
    timings = [timing.scaled(max(1, request.shifts)) for timing in timings]
    latency_seconds, most_frames = request.latency_seconds, None
    if latency_seconds is not None:
        most_frames = math.floor(latency_seconds * request.samplerate + ROUNDING_FRAMES)
    points = OPERATING_POINTS[USUAL_OPERATING_POINT:] if most_frames is None else OPERATING_POINTS
    drafts = _drafts(request, timings, points)
    for draft in drafts:
        if most_frames is None or draft.delay.total_frames <= most_frames:
            _check_crossfade(draft)
            return _spend(draft, most_frames)
    if not drafts:
        _refuse_misfit(request, timings)
    least_seconds = min(draft.delay_seconds for draft in drafts)
    least_seconds = math.ceil(least_seconds * 1000 - ROUNDING_FRAMES) / 1000
    less = ", --buffer low" if request.path.less_buffer else ""
    raise SettingsError(
        f"latency={latency_seconds:g} must be at least {least_seconds:g} seconds with "
        f"{request.model} on this machine; try {least_seconds:g}{less}, or a smaller model"
    )


def quickest(request: PlanRequest, timings: Sequence[WindowTiming]) -> LivePlan:
    """Return the plan with the least delay that can be promised, whatever it does to the quality.

    Arguments and errors as for `solve`.
    """
    _check(request)
    timings = [timing.scaled(max(1, request.shifts)) for timing in timings]
    drafts = _drafts(request, timings, OPERATING_POINTS)
    if not drafts:
        _refuse_misfit(request, timings)
    return min(drafts, key=lambda draft: draft.delay.total_frames)


def _drafts(
    request: PlanRequest, timings: Sequence[WindowTiming], points: Sequence[OperatingPoint]
) -> list[LivePlan]:
    """Return a plan for each operating point that can be reached, in order."""
    if request.engine == "native":
        return [native_draft(request, timing) for timing in timings]
    if request.stride is not None:
        drafts = [_stream_draft(request, request.stride, timing) for timing in timings]
        fitting = [draft for draft in drafts if draft is not None]
        if request.latency_seconds is not None:  # the more a promise leaves, the more ease
            return fitting[::-1]
        return sorted(fitting, key=lambda draft: draft.load > STREAM_LOAD)
    return [
        draft
        for timing in timings
        for point in points
        if (draft := _draft(request, timing, point)) is not None
    ]


def _check(request: PlanRequest) -> None:
    for name, value, usual in (
        ("latency", request.latency_seconds, 0.5),
        ("hop", request.hop_seconds, 0.2),
        ("lookahead", request.lookahead_seconds, 0.2),
    ):
        if value is None or 0 < value < math.inf or (value == 0 and name == "lookahead"):
            continue
        bound = "0 or more" if name == "lookahead" else "over 0"
        raise SettingsError(f"{name}={value:g} must be {bound} seconds; try {usual}")


def _check_crossfade(plan: LivePlan) -> None:
    most_frames = min(plan.hop_frames, plan.lookahead_frames)
    if plan.crossfade_frames > most_frames:
        most = _exact(most_frames, plan.request.model_samplerate)
        raise SettingsError(
            f"crossfade={plan.request.crossfade_seconds:g} must be at most {most} seconds, since "
            f"hop and lookahead are no shorter; try {most}"
        )


def _crossfade_frames(request: PlanRequest, most_frames: int) -> int:
    if request.crossfade_seconds is not None:
        return round(request.crossfade_seconds * request.model_samplerate)
    return min(round(CROSSFADE_SECONDS * request.model_samplerate), most_frames)


def _draft(request: PlanRequest, timing: WindowTiming, point: OperatingPoint) -> LivePlan | None:
    """Return the plan with the least budget at an operating point, if the window has room."""
    rate = request.model_samplerate
    lookahead_seconds = _first(request.lookahead_seconds, point.lookahead_seconds)
    lookahead_frames = round(lookahead_seconds * rate)
    room_frames = timing.window_frames - lookahead_frames
    least_frames = _least_hop_frames(request, timing)
    if request.hop_seconds is None:
        usual_frames = min(round(point.hop_seconds * rate), room_frames)
        hop_frames = max(
            least_frames, usual_frames, frames_up(timing.p50_seconds / point.load * rate)
        )
    else:
        hop_frames = round(request.hop_seconds * rate)
    context_frames = room_frames - hop_frames
    if hop_frames < least_frames or context_frames < point.context_share * timing.window_frames:
        return None
    budget_seconds = max(timing.p99_seconds / PEAK_LOAD, LEAST_BUDGET_SECONDS)
    return LivePlan(
        request,
        timing,
        hop_frames,
        lookahead_frames,
        _crossfade_frames(request, min(lookahead_frames, hop_frames)),
        delay_of(
            request, hop_frames, lookahead_frames, frames_up(budget_seconds * request.samplerate)
        ),
    )


def _stream_draft(request: PlanRequest, stride: Stride, timing: WindowTiming) -> LivePlan | None:
    """Return the plan for windows that bring a streaming model some hops at a time, if it can."""
    hop_frames = stride.new_frames(timing.window_frames)
    if hop_frames < _least_hop_frames(request, timing):
        return None
    budget_seconds = max(timing.p99_seconds / PEAK_LOAD, LEAST_BUDGET_SECONDS)
    budget_frames = frames_up(budget_seconds * request.samplerate)
    delay = delay_of(request, hop_frames, stride.lookahead_frames, budget_frames)
    return LivePlan(request, timing, hop_frames, stride.lookahead_frames, 0, delay)


def _spend(draft: LivePlan, most_frames: int | None) -> LivePlan:
    """Give what the promise leaves to the compute budget: up to a hop, when the next is due.

    The native engine catches up with hops that it could not compute in time, so it gets all that a
    promise leaves, and nothing without one.
    """
    delay = draft.delay
    if draft.request.engine == "native":
        spare_frames = 0 if most_frames is None else most_frames - delay.total_frames
        return replace(
            draft, delay=replace(delay, compute_frames=delay.compute_frames + spare_frames)
        )
    budget_frames = delay.hop_frames
    if most_frames is not None:
        left_frames = most_frames - delay.total_frames
        budget_frames = min(budget_frames, delay.compute_frames + left_frames)
    budget_frames = max(budget_frames, delay.compute_frames)
    return replace(draft, delay=replace(delay, compute_frames=budget_frames))


def _refuse_misfit(request: PlanRequest, timings: Sequence[WindowTiming]) -> NoReturn:
    """Say why no window has room for its hop and lookahead, whatever the promise."""
    rate = request.model_samplerate
    if request.stride is not None:
        _refuse_stride(request, request.stride, timings)
    lookahead_seconds = _first(request.lookahead_seconds, OPERATING_POINTS[-1].lookahead_seconds)
    lookahead_frames = round(lookahead_seconds * rate)
    spans = [(_least_hop_frames(request, one), one.window_frames) for one in timings]
    rooms = [(least, most - lookahead_frames) for least, most in spans]
    ends = [end for least, most in rooms if least <= most for end in (least, most)]
    if ends and request.hop_seconds is not None:
        hop_frames = request.hop_seconds * rate
        end = min(ends, key=lambda end: abs(end - hop_frames))
        bound = (
            f"at least {_exact(end, rate)}" if end > hop_frames else f"at most {_exact(end, rate)}"
        )
        raise SettingsError(
            f"hop={request.hop_seconds:g} must be {bound} seconds with {request.model} on this "
            f"machine; try {_exact(end, rate)}"
        )
    most_frames = max(most - least for least, most in spans)
    if most_frames >= 0 and request.lookahead_seconds is not None:
        most = _exact(most_frames, rate)
        raise SettingsError(
            f"lookahead={request.lookahead_seconds:g} must be at most {most} seconds with "
            f"{request.model} on this machine; try {most}, or a longer window"
        )
    fastest = min(timings, key=lambda timing: timing.p99_seconds / timing.window_frames)
    raise ModelError(
        f"{request.model} is too slow for live on this machine: a window of "
        f"{fastest.window_frames / rate:g} s takes it {fastest.p99_seconds:.3g} s; try a smaller "
        "model, or fewer shifts"
    )


def _refuse_stride(
    request: PlanRequest, stride: Stride, timings: Sequence[WindowTiming]
) -> NoReturn:
    """Say that a model that goes along the stream keeps up with no hop that was tried."""
    rate, longest = request.model_samplerate, timings[-1]
    hop_seconds = stride.new_frames(longest.window_frames) / rate
    if request.hop_seconds is not None:
        hops = -(-_least_hop_frames(request, longest) // stride.hop_frames)
        least = _exact(hops * stride.hop_frames, rate)
        raise SettingsError(
            f"hop={request.hop_seconds:g} must be at least {least} seconds with {request.model} on "
            f"this machine; try {least}"
        )
    if request.path.block_frames / request.samplerate > hop_seconds:
        most = math.floor(hop_seconds * request.samplerate)
        raise SettingsError(
            f"device blocks of {request.path.block_frames} frames must be at most {most} with "
            f"{request.model}; try a smaller --blocksize"
        )
    raise ModelError(
        f"{request.model} is too slow for live on this machine: a hop of {hop_seconds:.3f} s takes "
        f"it {longest.p99_seconds:.3g} s; try a smaller model"
    )


def _least_hop_frames(request: PlanRequest, timing: WindowTiming) -> int:
    """Return the hop that the model keeps up with; and in a block no two windows become full.

    Of two that do, the second takes the place of the first (`streamer.pipeline.worker.LiveWorker`).
    """
    block_seconds = request.path.block_frames / request.samplerate
    seconds = max(timing.p99_seconds / PEAK_LOAD, block_seconds)
    return max(1, math.ceil(seconds * request.model_samplerate - ROUNDING_FRAMES))


def _first(given: float | None, usual: float) -> float:
    return usual if given is None else given


def _exact(frames: int, rate: int) -> str:
    """Return frames as seconds that are rounded back to the same frames."""
    return f"{round(frames / rate, 6)}"
