"""What to give up, and when, where the model does not keep up: a pure state machine.

::

    ladder = Ladder(make_rungs(plan))
    change = ladder.feed(now_seconds, compute_seconds, missed)   # after each window
    if change is not None:
        print(change.told)          # and go on with change.rung: no further step is told twice

All rungs have the same delay: a wider hop is paid for with lookahead.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from streamer.live.plan import LivePlan, delay_of
from streamer.models.calibration import WindowTiming

BAD_IN_A_ROW: Final = 3
BAD_SECONDS: Final = 0.3
"""Of short hops so many more in a row: one hiccup is no overload."""
RECENT_WINDOWS: Final = 200
RECENT_SECONDS: Final = 20.0
"""Of short hops so many more are recent."""
BAD_RECENTLY: Final = 3
"""So many of `RECENT_WINDOWS` are over a hundredth of them: the p99 is over the hop."""
SETTLING_WINDOWS: Final = 2
"""After a step the next windows are not judged: they were begun under the rung before."""
QUIET_SECONDS: Final = 20.0
MOST_QUIET_SECONDS: Final = 320.0
KEPT_LOOKAHEAD_SECONDS: Final = 0.02
"""What the wider hop leaves of the lookahead: windows must still blend into each other."""
WIDER: Final = 1.1
"""A hop that grows by less is no rung worth a step."""


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
    """Return the rungs of a plan: each keeps what those above it gave up, and costs less.

    ``smaller`` are models that may stand in, each with its timing (one pass) for the plan's
    window; those that are not faster are left out. The last rung is dry.
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

    None where there is too little lookahead to make a difference.
    """
    request = plan.request
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
    """What was seen on a rung, of windows a hop apart, since the step to it."""

    settling: int
    hop_seconds: float
    recent: deque[bool] = field(init=False)
    in_a_row: int = 0
    quiet_since: float | None = None
    bad_above: int = 0

    def __post_init__(self) -> None:
        recent = max(RECENT_WINDOWS, math.ceil(RECENT_SECONDS / self.hop_seconds))
        self.recent = deque(maxlen=recent)
        self.most_in_a_row = max(BAD_IN_A_ROW, math.ceil(BAD_SECONDS / self.hop_seconds))
        self.most_recently = BAD_RECENTLY * recent / RECENT_WINDOWS

    def begin_quiet(self, now_seconds: float) -> None:
        self.quiet_since, self.bad_above = now_seconds, 0


class Ladder:
    """Steps down where windows come late, and up again after a long quiet time.

    Down: a few bad windows in a row, or over one in a hundred of the recent ones. A window is bad
    that missed its deadline or took longer than the hop.

    Up: no bad window for ``quiet_seconds``, and the windows would have fitted the rung above. If
    that rung does not hold for as long as it was waited for, the wait for it doubles, up to
    ``most_quiet_seconds``; once it has held, the wait is as at first.
    """

    def __init__(
        self,
        rungs: Sequence[Rung],
        *,
        quiet_seconds: float = QUIET_SECONDS,
        most_quiet_seconds: float = MOST_QUIET_SECONDS,
    ) -> None:
        assert rungs[-1].dry
        self.rungs = tuple(rungs)
        self.index = 0
        self._first_wait_seconds = quiet_seconds
        self._most_wait_seconds = most_quiet_seconds
        self._waits_seconds = [quiet_seconds] * len(rungs)
        self._climbed_at: float | None = None
        self._watch = _Watch(0, self.rung.plan.hop_seconds)

    @property
    def rung(self) -> Rung:
        """The rung that holds."""
        return self.rungs[self.index]

    def feed(self, now_seconds: float, compute_seconds: float, missed: bool) -> Change | None:
        """Take what a window took (all passes), and whether its stems came too late.

        Call it once a hop, on the dry rung too (with 0 seconds), for a window that failed, and for
        one that is overdue. ``now_seconds`` is of any clock that never goes back.
        """
        watch = self._watch
        if watch.settling:
            watch.settling -= 1
            return None
        if watch.quiet_since is None:
            watch.begin_quiet(now_seconds)
        bad = not self.rung.dry and (missed or compute_seconds > self.rung.plan.hop_seconds)
        watch.recent.append(bad)
        if not bad:
            watch.in_a_row = 0
            watch.bad_above += not self._fits_above(compute_seconds)
            self._hold(now_seconds)
            return self._climb(now_seconds)
        watch.in_a_row += 1
        watch.begin_quiet(now_seconds)
        return self._descend()

    def _hold(self, now_seconds: float) -> None:
        """Notice that the rung that was climbed to has held."""
        if self._climbed_at is None:
            return
        if now_seconds - self._climbed_at >= self._waits_seconds[self.index]:
            self._waits_seconds[self.index] = self._first_wait_seconds
            self._climbed_at = None

    def _descend(self) -> Change | None:
        watch = self._watch
        bad = sum(watch.recent)
        if watch.in_a_row < watch.most_in_a_row and bad < watch.most_recently:
            return None
        if self._climbed_at is not None:
            wait_seconds = min(2 * self._waits_seconds[self.index], self._most_wait_seconds)
            self._waits_seconds[self.index] = wait_seconds
            self._climbed_at = None
        return self._step(1, f"{bad} of the last {len(watch.recent)} windows took too long")

    def _climb(self, now_seconds: float) -> Change | None:
        watch = self._watch
        if not self.index or watch.quiet_since is None:
            return None
        quiet_seconds = now_seconds - watch.quiet_since
        if quiet_seconds < self._waits_seconds[self.index - 1]:
            return None
        if watch.bad_above >= watch.most_recently:
            watch.begin_quiet(now_seconds)
            return None
        self._waits_seconds[self.index] = self._first_wait_seconds  # this one has held
        self._climbed_at = now_seconds
        return self._step(-1, f"no window took too long for {quiet_seconds:.0f} s")

    def _fits_above(self, compute_seconds: float) -> bool:
        """Return whether a window that took so long here would not be late on the rung above.

        From the dry rung nothing is known, so that is tried.
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
