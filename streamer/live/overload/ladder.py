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

from streamer.live.planning.plan import LivePlan, delay_of
from streamer.models.calibration import WindowTiming

OVERLOAD_SECONDS: Final = 2.0
"""So long the load is over the time that there is, or windows are missed again and again, before
anything is given up: a hiccup costs what it lasts."""
FEWEST_WINDOWS: Final = 3
"""Of long hops so many are looked at, at least, however long that takes."""
PAUSE_SECONDS: Final = 0.5
PAUSE_WINDOWS: Final = 2
"""So much sound, so many windows in time end a spell of misses: what comes then is another."""
MOST_HOPS: Final = 2.0
"""One window counts as no more load than so many hops: a hiccup is no load."""
MOSTLY: Final = 0.5
"""No run goes dry that is not dry already for over so much of the time."""
SETTLING_WINDOWS: Final = 2
"""After a step the next windows are not judged: they were begun under the rung before."""
QUIET_SECONDS: Final = 20.0
MOST_QUIET_SECONDS: Final = 320.0
DRY_SECONDS: Final = 1.0
MOST_DRY_SECONDS: Final = 8.0
"""A run that is dry tries again sooner: it has nothing to lose."""
HELD_SECONDS: Final = 5.0
"""What was climbed to has held after so long at the earliest: an overload takes a while to show."""
SELDOM: Final = 0.05
"""Up where no more of the windows would have been late there: those are hiccups."""
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
        """The mean load of the last seconds; 0 while they are not over."""
        hops = [one for one, _ in self.recent if one is not None]
        whole = len(self.recent) == self.recent.maxlen and len(hops) >= FEWEST_WINDOWS
        return math.fsum(hops) / len(hops) if whole else 0.0

    @property
    def missed_seconds(self) -> float:
        """For how long windows are missed again and again, up to now."""
        return self.spell[1] - self.spell[0] if self.spell else 0.0


class Ladder:
    """Steps down where windows are missed for seconds, and up again after a quiet time.

    Down: the mean load of the last seconds is over the time that there is, or misses have gone on
    for so long. A window that takes longer than its hop and is in time, or a hiccup, takes no step.
    To the dry rung only where most windows are missed anyway.

    Up: for ``quiet_seconds`` hardly any window was missed, or would have been on the rung above; a
    dry run tries again after ``dry_seconds``. If the rung above does not hold for as long as it was
    waited for, the wait for it doubles, up to ``most_quiet_seconds`` or ``most_dry_seconds``; once
    it has held, the wait is as at first.
    """

    def __init__(
        self,
        rungs: Sequence[Rung],
        *,
        quiet_seconds: float = QUIET_SECONDS,
        most_quiet_seconds: float = MOST_QUIET_SECONDS,
        dry_seconds: float = DRY_SECONDS,
        most_dry_seconds: float = MOST_DRY_SECONDS,
    ) -> None:
        assert rungs[-1].dry
        self.rungs = tuple(rungs)
        self.index = 0
        above = len(rungs) - 2  # the waits are for the way up to a rung
        self._first_waits_seconds = [quiet_seconds] * above + [dry_seconds] * 2
        self._most_waits_seconds = [most_quiet_seconds] * above + [most_dry_seconds] * 2
        self._waits_seconds = list(self._first_waits_seconds)
        self._climbed_at: float | None = None
        self._watch = _Watch(0, self.rung.plan.hop_seconds)

    @property
    def rung(self) -> Rung:
        """The rung that holds."""
        return self.rungs[self.index]

    def feed(self, now_seconds: float, compute_seconds: float, missed: bool) -> Change | None:
        """Take what a window took (all passes), and whether its stems were missed.

        Call it once a hop, on the dry rung too (with 0 seconds), for a window that failed, and for
        one that is overdue. ``now_seconds`` is of any clock that never goes back.
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
