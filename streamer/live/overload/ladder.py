"""Which work to give up, and when, if the model does not keep up: a pure state machine.

::

    ladder = Ladder(make_rungs(plan))
    change = ladder.feed(now_seconds, compute_seconds, missed)   # after each window
    if change is not None:
        print(change.told)          # and go on with change.rung; each step is told once

All rungs have the same delay: a longer hop is paid for with lookahead.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from streamer.live.planning.plan import LivePlan, delay_of
from streamer.models.calibration import WindowTiming

OVERLOAD_SECONDS: Final = 2.0
"""Work is given up only after the load was too high, or windows were missed, for this long. A
hiccup costs only the time that it lasts."""
FEWEST_WINDOWS: Final = 3
"""With long hops at least this many windows are looked at, however long that takes."""
PAUSE_SECONDS: Final = 0.5
PAUSE_WINDOWS: Final = 2
"""This much sound and this many windows in time end a series of misses."""
MOST_HOPS: Final = 2.0
"""A window counts as at most this many hops of load: a hiccup is not load."""
MOSTLY: Final = 0.5
"""A run goes dry only if it is already dry for more than this share of the time."""
SETTLING_WINDOWS: Final = 2
"""After a step this many windows do not count: they began on the rung before."""
QUIET_SECONDS: Final = 20.0
MOST_QUIET_SECONDS: Final = 320.0
DRY_SECONDS: Final = 1.0
MOST_DRY_SECONDS: Final = 8.0
"""A run that is dry tries again sooner: it has nothing to lose."""
HELD_SECONDS: Final = 5.0
"""A rung that was climbed to must hold at least this long: an overload takes a while to show."""
SELDOM: Final = 0.05
"""Climb if at most this share of windows would have been late there: those are hiccups."""
KEPT_LOOKAHEAD_SECONDS: Final = 0.02
"""The least lookahead beside a longer hop: windows must still blend into each other."""
WIDER: Final = 1.1
"""A hop that grows by less is not worth a step."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to run: the plan holds model, shifts and schedule. ``dry`` runs no model at all."""

    name: str
    plan: LivePlan
    dry: bool = False

    @property
    def model(self) -> str:
        """The model that runs."""
        return self.plan.request.model

    @property
    def shifts(self) -> int:
        """The shifts that it runs with."""
        return self.plan.request.shifts


@dataclass(frozen=True, slots=True)
class Change:
    """A step of the ladder: where to, from where, and the sentence to tell once."""

    index: int
    rung: Rung
    before: Rung
    told: str


def make_rungs(
    plan: LivePlan, smaller: Sequence[tuple[str, WindowTiming]] = ()
) -> tuple[Rung, ...]:
    """Return the rungs of a plan. Each one does less than the rung above it.

    ``smaller`` are models that may stand in, each with its timing (one pass) for the plan's window;
    slower ones are left out. The last rung is dry.
    """
    rungs = [Rung("as planned", plan)]
    wide = widened(plan)
    if wide is not None:
        plan = wide
        rungs.append(Rung("wider hop", plan))
    while plan.request.shifts > 1:
        plan = _with_shifts(plan, plan.request.shifts // 2)
        shifts = plan.request.shifts
        rungs.append(Rung("1 shift" if shifts == 1 else f"{shifts} shifts", plan))
    for model, timing in smaller:
        assert timing.window_frames == plan.window_frames
        if timing.p50_seconds < plan.timing.p50_seconds:
            plan = replace(plan, request=replace(plan.request, model=model), timing=timing)
            rungs.append(Rung(f"model {model}", plan))
    return (*rungs, Rung("dry", plan, dry=True))


def widened(plan: LivePlan) -> LivePlan | None:
    """Return the plan with its lookahead shared between hop and compute budget; the same delay.

    None if the lookahead is too short to make a difference, or is the model's own.
    """
    request = plan.request
    if request.stride is not None:
        return None
    kept_frames = min(
        plan.lookahead_frames, round(KEPT_LOOKAHEAD_SECONDS * request.model_samplerate)
    )
    hop_frames = plan.hop_frames + (plan.lookahead_frames - kept_frames) // 2
    if hop_frames < WIDER * plan.hop_frames:
        return None
    delay = delay_of(request, hop_frames, kept_frames, plan.delay.compute_frames)
    rest_frames = plan.delay.total_frames - delay.total_frames
    return replace(
        plan,
        hop_frames=hop_frames,
        lookahead_frames=kept_frames,
        crossfade_frames=min(plan.crossfade_frames, kept_frames),
        delay=replace(delay, compute_frames=delay.compute_frames + rest_frames),
    )


def _with_shifts(plan: LivePlan, shifts: int) -> LivePlan:
    share, timing = shifts / plan.request.shifts, plan.timing
    return replace(
        plan,
        request=replace(plan.request, shifts=shifts),
        timing=replace(
            timing, p50_seconds=timing.p50_seconds * share, p99_seconds=timing.p99_seconds * share
        ),
    )


@dataclass
class _Watch:
    """The windows on a rung since the step to it, a hop apart."""

    settling: int
    hop_seconds: float
    recent: deque[tuple[float | None, bool]] = field(init=False)
    spell: tuple[float, float] | None = None
    in_time: int = 0
    quiet_since: float | None = None
    quiet_windows: int = 0
    bad_above: int = 0

    def __post_init__(self) -> None:
        hops = max(FEWEST_WINDOWS, math.ceil(OVERLOAD_SECONDS / self.hop_seconds))
        self.recent = deque(maxlen=hops)
        self.pause_windows = max(PAUSE_WINDOWS, math.ceil(PAUSE_SECONDS / self.hop_seconds))
        self.spell_seconds = max(OVERLOAD_SECONDS, (FEWEST_WINDOWS - 1) * self.hop_seconds)

    def feed(self, now_seconds: float, compute_seconds: float, missed: bool) -> None:
        hops = min(compute_seconds / self.hop_seconds, MOST_HOPS)
        # what was skipped took no time, since there was none
        self.recent.append((hops if compute_seconds or not missed else None, missed))
        if missed:
            first, _ = self.spell or (now_seconds, now_seconds)
            self.spell, self.in_time = (first, now_seconds), 0
            return
        self.in_time += 1
        if self.in_time >= self.pause_windows:
            self.spell = None

    def begin_quiet(self, now_seconds: float) -> None:
        self.quiet_since, self.quiet_windows, self.bad_above = now_seconds, 0, 0

    @property
    def missed(self) -> int:
        return sum(missed for _, missed in self.recent)

    @property
    def load(self) -> float:
        """The mean load of the last seconds; 0 while they are not over.

        Without the slowest window: if one takes seconds, hardly another is computed meanwhile.
        """
        hops = sorted(one for one, _ in self.recent if one is not None)
        whole = len(self.recent) == self.recent.maxlen and len(hops) >= FEWEST_WINDOWS
        return math.fsum(hops[:-1]) / (len(hops) - 1) if whole else 0.0

    @property
    def missed_seconds(self) -> float:
        """For how long windows are missed again and again, up to now."""
        return self.spell[1] - self.spell[0] if self.spell else 0.0


class Ladder:
    """Steps down if windows are missed for seconds, and up again after a quiet time.

    Down: the mean load of the last seconds is over 100%, without their slowest window, or misses
    have gone on for that long. A slow window that is still in time, or a hiccup, causes no step.
    The last step, to the dry rung, comes only if most windows are missed anyway.

    Up: for `QUIET_SECONDS` hardly any window was missed, or would have been on the rung above. A
    dry run tries again after `DRY_SECONDS`. If the rung above then holds for less than the wait,
    the wait doubles, up to `MOST_QUIET_SECONDS` or `MOST_DRY_SECONDS`. Once it has held, the
    wait is the first one again.
    """

    def __init__(self, rungs: Sequence[Rung]) -> None:
        assert rungs[-1].dry
        self.rungs = tuple(rungs)
        self.index = 0
        above = len(rungs) - 2  # the waits are for the way up to a rung
        self._first_waits_seconds = [QUIET_SECONDS] * above + [DRY_SECONDS] * 2
        self._most_waits_seconds = [MOST_QUIET_SECONDS] * above + [MOST_DRY_SECONDS] * 2
        self._waits_seconds = list(self._first_waits_seconds)
        self._climbed_at: float | None = None
        self._watch = _Watch(0, self.rung.plan.hop_seconds)

    @property
    def rung(self) -> Rung:
        """The present rung."""
        return self.rungs[self.index]

    def feed(self, now_seconds: float, compute_seconds: float, missed: bool) -> Change | None:
        """Take the time of a window (all passes), and whether its stems were missed.

        Call it once a hop: on the dry rung too (with 0 seconds), and also for failed
        windows. ``now_seconds`` is of any clock that never goes back.
        """
        watch = self._watch
        if watch.settling:
            watch.settling -= 1
            return None
        if watch.quiet_since is None:
            watch.begin_quiet(now_seconds)
        if not self.rung.dry:
            watch.feed(now_seconds, compute_seconds, missed)
            if missed and (change := self._descend()) is not None:
                return change
        watch.quiet_windows += 1
        watch.bad_above += missed or not self._fits_above(compute_seconds)
        self._hold(now_seconds)
        return self._climb(now_seconds)

    def _hold(self, now_seconds: float) -> None:
        """Notice that the rung that was climbed to has held."""
        if self._climbed_at is None or self._watch.spell is not None:
            return
        if now_seconds - self._climbed_at >= max(HELD_SECONDS, self._waits_seconds[self.index]):
            self._waits_seconds[self.index] = self._first_waits_seconds[self.index]
            self._climbed_at = None

    def _descend(self) -> Change | None:
        watch, index = self._watch, self.index
        overloaded = watch.load > 1
        if not overloaded and watch.missed_seconds < watch.spell_seconds:
            return None
        windows = len(watch.recent)
        if self.rungs[index + 1].dry and watch.missed <= MOSTLY * windows:
            return None
        if self._climbed_at is not None:
            wait_seconds = min(2 * self._waits_seconds[index], self._most_waits_seconds[index])
            self._waits_seconds[index] = wait_seconds
            self._climbed_at = None
        return self._step(1, f"{watch.missed} of the last {windows} windows were missed")

    def _climb(self, now_seconds: float) -> Change | None:
        watch = self._watch
        if not self.index or watch.quiet_since is None:
            return None
        quiet_seconds = now_seconds - watch.quiet_since
        if quiet_seconds < self._waits_seconds[self.index - 1]:
            return None
        if not self.rung.dry and watch.bad_above > SELDOM * watch.quiet_windows:
            watch.begin_quiet(now_seconds)
            return None
        # this one has held
        self._waits_seconds[self.index] = self._first_waits_seconds[self.index]
        self._climbed_at = now_seconds
        told = "another try after" if self.rung.dry else "the model has kept up for"
        return self._step(-1, f"{told} {quiet_seconds:.0f} s")

    def _fits_above(self, compute_seconds: float) -> bool:
        """Return whether a window with this time would be in time on the rung above.

        The dry rung tells nothing of this, so the step is tried.
        """
        if not self.index:
            return True
        above, here = self.rungs[self.index - 1].plan, self.rung.plan
        seconds = compute_seconds * above.timing.p50_seconds / here.timing.p50_seconds
        return seconds <= min(above.hop_seconds, above.budget_seconds)

    def _step(self, by: int, why: str) -> Change:
        before = self.rung
        self.index += by
        self._watch = _Watch(SETTLING_WINDOWS, self.rung.plan.hop_seconds)
        return Change(self.index, self.rung, before, f"{why}: {before.name} -> {self.rung.name}")
