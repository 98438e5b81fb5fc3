"""Whether a live run kept its promise: a constant delay, and no break in the sound."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from streamer.live.status import Reason, Status
from streamer.live.telemetry.latency import LatencyLog, Stage
from streamer.words import counted

LOAD_LIMIT: Final = 0.8
"""How much of a hop the slowest hundredth of the windows may take: what a plan allows for."""

DRY_LIMIT: Final = 0.01
"""A run that played without stems for more of its time was interrupted."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened at ``seconds`` of the stream, for people: a device loss, a step, a state."""

    seconds: float
    text: str


@dataclass(frozen=True, slots=True)
class LiveReport:
    """A live run, when it is over.

    ``status`` is the last look at it. ``promised_delay_seconds`` is what the user asked for, and
    ``hop_seconds`` how often a window is due; either may be unknown. The measured delay counts as
    constant within ``tolerance_seconds``: a device block. ``planned_parts`` are the parts of the
    announced delay in seconds, ``settings`` what the run was made with, both by name.
    """

    status: Status
    latency: LatencyLog
    started: datetime
    elapsed_seconds: float
    tolerance_seconds: float
    promised_delay_seconds: float | None = None
    hop_seconds: float | None = None
    planned_parts: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, str | int | float] = field(default_factory=dict)
    events: Sequence[Event] = ()


class Outcome(StrEnum):
    """What became of a constant delay without a break: broken is a promise that was asked for,
    interrupted and unsteady are runs where none was.
    """

    KEPT = "kept"
    NARROW = "kept narrowly"
    BROKEN = "broken"
    INTERRUPTED = "interrupted"
    UNSTEADY = "delay not constant"
    UNKNOWN = "nothing measured"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, and one sentence for each thing that made it so."""

    outcome: Outcome
    reasons: tuple[str, ...]


def judge(report: LiveReport) -> Verdict:
    """Return whether every frame came out with its stems, and after the announced delay.

    A promise is broken only where one was asked for.
    """
    lost, strays = tuple(_interruptions(report)), tuple(_strays(report))
    if (lost or strays) and report.promised_delay_seconds is not None:
        return Verdict(Outcome.BROKEN, lost + strays)
    if lost:
        return Verdict(Outcome.INTERRUPTED, lost + strays)
    if strays:
        return Verdict(Outcome.UNSTEADY, strays)
    if not report.latency.deviation.count:
        return Verdict(Outcome.UNKNOWN, ("No window was played whose delay is known for sure.",))
    narrow = tuple(_warnings(report))
    if narrow:
        return Verdict(Outcome.NARROW, narrow)
    kept = (
        f"Every frame came out after the announced {milliseconds(report.status.delay_seconds)}, "
        f"within {milliseconds(_largest_deviation(report))}; "
        f"{milliseconds(report.tolerance_seconds)} are allowed."
    )
    return Verdict(Outcome.KEPT, (kept,))


def over_promise(report: LiveReport) -> bool:
    """Return whether more delay is announced than was promised: by a frame, or it is rounding."""
    status, promised = report.status, report.promised_delay_seconds
    return promised is not None and (status.delay_seconds - promised) * status.samplerate > 1


def milliseconds(seconds: float) -> str:
    """Return a duration for people."""
    return "unknown" if math.isnan(seconds) else f"{seconds * 1000:.1f} ms"


def signed(seconds: float) -> str:
    """Return a difference in milliseconds for people, with its sign; no zero is negative."""
    return f"{round(seconds * 1000, 1) + 0.0:+.1f}"


def _interruptions(report: LiveReport) -> Iterator[str]:
    status = report.status
    if status.reason is Reason.FAILED:
        yield "An error ended the run."
    if status.xruns:
        yield (
            f"{counted(status.xruns, 'xrun')}: a device found too little to play, or no room for "
            "what it took; a larger --blocksize helps."
        )
    if status.dropped_frames:
        seconds = status.dropped_frames / max(status.samplerate, 1)
        yield f"{seconds:.2f} s of sound were lost ({counted(status.dropped_frames, 'frame')})."
    if status.deadline_misses:
        yield (
            f"{counted(status.deadline_misses, 'missed window')}: late, skipped or failed; a "
            "longer --latency or a smaller model helps."
        )
    if status.dry_share > DRY_LIMIT:
        yield f"There were no stems for {status.dry_share:.1%} of the time."
    if status.device_losses:
        yield f"{counted(status.device_losses, 'device loss', 'device losses')}: one was away."


def _strays(report: LiveReport) -> Iterator[str]:
    announced, promised = report.status.delay_seconds, report.promised_delay_seconds
    if promised is not None and over_promise(report):
        yield (
            f"The announced delay, {milliseconds(announced)}, is over the promised "
            f"{milliseconds(promised)}."
        )
    low, high = (report.latency.deviation.percentile(percent) for percent in (0.5, 99.5))
    if max(-low, high) > report.tolerance_seconds:
        yield (
            "The delay was not constant: 99% of the windows were between "
            f"{signed(low)} and {signed(high)} ms off the announced one, where "
            f"{milliseconds(report.tolerance_seconds)} are allowed."
        )


def _warnings(report: LiveReport) -> Iterator[str]:
    largest = _largest_deviation(report)
    if largest > report.tolerance_seconds:
        yield (
            f"In less than 1% of the windows the delay was up to {milliseconds(largest)} off, "
            f"where {milliseconds(report.tolerance_seconds)} are allowed."
        )
    load = inference_load(report)
    if load > LOAD_LIMIT:
        yield (
            f"The model needed {load:.0%} of the time between two windows (p99), over the "
            f"{LOAD_LIMIT:.0%} that leave a reserve; a longer --latency or a smaller model helps."
        )
    if report.status.rung:
        yield f"Quality was given up to keep up: {report.status.rung_name}."


def inference_load(report: LiveReport) -> float:
    """Return the model's time for a window, p99, over the hop; nan where it is not known."""
    if not report.hop_seconds:
        return math.nan
    return report.latency.stages[Stage.INFERENCE].percentile(99) / report.hop_seconds


def _largest_deviation(report: LiveReport) -> float:
    deviation = report.latency.deviation
    return max(-deviation.min, deviation.max)
