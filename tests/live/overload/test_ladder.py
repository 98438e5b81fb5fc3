"""The overload ladder: its rungs, its way down, its way up, on virtual time."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.live.overload.ladder import (
    DRY_SECONDS,
    MOST_DRY_SECONDS,
    MOST_QUIET_SECONDS,
    OVERLOAD_SECONDS,
    QUIET_SECONDS,
    Ladder,
    make_rungs,
    widened,
)
from streamer.live.planning.plan import DevicePath, PlanRequest
from streamer.live.planning.solver import solve
from streamer.models.calibration import WindowTiming
from streamer.models.separator import Stride

RATE = 44100
BASE = WindowTiming(2 * RATE, 0.03, 0.04)
SMALL = ("small", WindowTiming(2 * RATE, 0.01, 0.012))
PLAN = solve(
    PlanRequest("big", 48000, RATE, latency_seconds=0.7, shifts=4, path=DevicePath(480)), [BASE]
)
STRIDE = Stride(512, 512)
ALONG = solve(
    PlanRequest("along", RATE, RATE, stride=STRIDE, path=DevicePath(512)),
    [WindowTiming(STRIDE.window_frames(1), 0.003, 0.005)],
)
NAMES = ["as planned", "wider hop", "2 shifts", "1 shift", "model small", "dry"]


class Machine:
    """Runs windows on virtual time; one round of the big model takes ``round_seconds``."""

    def __init__(self, ladder, round_seconds=0.03) -> None:
        self.ladder = ladder
        self.round_seconds = round_seconds
        self.now_seconds = 50.0
        self.changes = []

    @property
    def compute_seconds(self):
        rung = self.ladder.rung
        if rung.dry:
            return 0.0
        small = 1 if rung.model == "big" else SMALL[1].p50_seconds / BASE.p50_seconds
        return self.round_seconds * small * max(1, rung.shifts)

    def window(self, compute_seconds=None, missed=None, *, waits=True):
        plan = self.ladder.rung.plan
        took_seconds = self.compute_seconds if compute_seconds is None else compute_seconds
        late = took_seconds > plan.budget_seconds if missed is None else missed
        if waits:
            self.now_seconds += max(plan.hop_seconds, took_seconds)
        change = self.ladder.feed(self.now_seconds, took_seconds, late)
        if change is not None:
            self.changes.append((self.now_seconds, change))
        return change

    def run(self, seconds):
        """Return the names of the rungs that were stepped to."""
        seen, end_seconds = len(self.changes), self.now_seconds + seconds
        while self.now_seconds < end_seconds:
            self.window()
        return [change.rung.name for _, change in self.changes[seen:]]


@pytest.fixture
def machine():
    return Machine(Ladder(make_rungs(PLAN, [SMALL])))


# the rungs ---------------------------------------------------------------------------------------


def test_each_rung_costs_less_and_none_changes_the_delay():
    rungs = make_rungs(PLAN, [SMALL])
    assert [rung.name for rung in rungs] == NAMES
    assert [rung.dry for rung in rungs] == [False] * 5 + [True]
    assert [rung.shifts for rung in rungs] == [4, 4, 2, 1, 1, 1]
    assert [rung.model for rung in rungs] == ["big"] * 4 + ["small"] * 2
    for above, below in itertools.pairwise(rungs[:-1]):
        assert below.plan.load < above.plan.load
    for rung in rungs:
        assert rung.plan.delay.total_frames == PLAN.delay.total_frames
        assert rung.plan.delay.frames == PLAN.delay.frames
        assert rung.plan.window_frames == PLAN.window_frames
        assert 0 <= rung.plan.crossfade_frames <= rung.plan.lookahead_frames
        assert rung.plan.context_frames >= PLAN.context_frames


plans = st.builds(
    lambda hop, lookahead, rate, spare: solve(
        PlanRequest(
            "any",
            rate,
            RATE,
            latency_seconds=2 * hop + lookahead + 0.1 + spare,
            hop_seconds=hop,
            lookahead_seconds=lookahead,
        ),
        [WindowTiming(2 * RATE, 0.02, 0.03)],
    ),
    hop=st.floats(0.05, 1.0),
    lookahead=st.floats(0, 1.0),
    rate=st.sampled_from([44100, 48000, 96000]),
    spare=st.floats(0, 1),
)


@given(plan=plans)
@settings(max_examples=80, deadline=None)
def test_a_wider_hop_takes_from_the_lookahead_only(plan):
    wide = widened(plan)
    if wide is None:
        assert plan.lookahead_frames < 0.25 * plan.hop_frames + 0.05 * RATE
        return
    assert wide.hop_frames >= 1.1 * plan.hop_frames
    assert wide.hop_frames + wide.lookahead_frames < plan.hop_frames + plan.lookahead_frames
    assert wide.budget_seconds > plan.budget_seconds
    assert wide.delay.total_frames == plan.delay.total_frames
    assert wide.crossfade_frames <= wide.lookahead_frames
    assert widened(wide) is None


def test_a_streaming_models_own_lookahead_is_not_shared_out():
    stride = Stride(512, 2048)
    plan = solve(
        PlanRequest("along", RATE, RATE, stride=stride, path=DevicePath(512)),
        [WindowTiming(stride.window_frames(1), 0.003, 0.005)],
    )
    assert [rung.name for rung in make_rungs(plan)] == ["as planned", "dry"]


def test_no_rung_without_a_gain():
    bare = solve(PlanRequest("big", RATE, RATE, lookahead_seconds=0.0), [BASE])
    slower = ("slow", WindowTiming(2 * RATE, 0.04, 0.05))
    assert [rung.name for rung in make_rungs(bare, [slower])] == ["as planned", "dry"]


# down --------------------------------------------------------------------------------------------


def test_a_machine_that_keeps_up_stays(machine):
    assert machine.run(3600) == []
    assert machine.ladder.index == 0


def test_misses_that_go_on_for_seconds_step_down_one_rung(machine):
    begun = machine.now_seconds
    while not machine.changes:
        machine.window(missed=True)
    ((now, change),) = machine.changes
    assert OVERLOAD_SECONDS <= now - begun < 2 * OVERLOAD_SECONDS
    assert (change.index, change.rung, change.before) == (1, *machine.ladder.rungs[1::-1])
    assert re.fullmatch(
        r"(\d+) of the last \1 windows were missed: as planned -> wider hop", change.told
    )
    assert machine.ladder.rung is change.rung


def test_a_window_longer_than_its_hop_that_is_in_time_is_not_given_up(machine):
    for _ in range(1000):
        assert machine.window(PLAN.hop_seconds * 1.05, missed=False) is None


def test_a_load_over_the_time_there_is_steps_at_the_first_miss_after_seconds(machine):
    for _ in range(100):
        assert machine.window(PLAN.hop_seconds * 1.05, missed=False) is None
    assert machine.window(PLAN.hop_seconds * 1.05, missed=True) is not None


HICCUPS = st.lists(st.tuples(st.floats(0.02, 1.2), st.floats(1.0, 20.0)), min_size=1, max_size=20)


@given(hiccups=HICCUPS)
@settings(max_examples=50, deadline=None)
@pytest.mark.parametrize("plan", [PLAN, ALONG], ids=["windows", "stream"])
def test_hiccups_take_no_step(plan, hiccups):
    """Each stops the machine for its time; what comes meanwhile is late or skipped, all of it."""
    machine = Machine(Ladder(make_rungs(plan)))
    for seconds, quiet_seconds in hiccups:
        machine.window(seconds, missed=True)
        for _ in range(round(seconds / plan.hop_seconds)):
            machine.window(0.0, missed=True, waits=False)
        machine.run(quiet_seconds)
    assert machine.changes == []


def test_a_miss_now_and_then_is_borne_for_ever(machine):
    for _ in range(1000):
        machine.window(missed=True)
        machine.run(1.0)
    assert machine.changes == []


def test_it_does_not_go_dry_where_most_windows_are_in_time():
    machine = Machine(Ladder(make_rungs(ALONG)))
    assert [rung.name for rung in machine.ladder.rungs] == ["as planned", "dry"]
    for number in range(5000):
        machine.window(missed=number % 3 == 0)
    assert machine.changes == []
    for number in range(5000):
        machine.window(missed=number % 3 != 0)
    assert machine.changes[0][1].rung.dry


def test_windows_of_the_rung_before_are_not_held_against_the_next(machine):
    while not machine.changes:
        machine.window(missed=True)
    stepped = machine.now_seconds
    while len(machine.changes) == 1:
        machine.window(missed=True)
    assert machine.now_seconds - stepped >= OVERLOAD_SECONDS


@pytest.mark.parametrize(
    ("round_seconds", "stops_at"),
    [(0.05, "as planned"), (0.07, "wider hop"), (0.13, "2 shifts"), (0.25, "1 shift")],
)
def test_overload_stops_where_the_machine_keeps_up(machine, round_seconds, stops_at):
    machine.round_seconds = round_seconds
    machine.run(600)
    assert machine.ladder.rung.name == stops_at
    assert len(machine.changes) == NAMES.index(stops_at), "straight down, and no way back tried"


def test_a_hopeless_machine_ends_dry(machine):
    machine.round_seconds = 5.0
    while not machine.ladder.rung.dry:
        machine.window()
    assert [change.rung.name for _, change in machine.changes] == NAMES[1:]
    for _ in range(2):
        assert machine.window(missed=True) is None, "there is nothing below"


# up ----------------------------------------------------------------------------------------------


def test_down_and_up_again_one_rung_at_a_time(machine):
    machine.round_seconds = 0.25
    assert machine.run(15) == NAMES[1:4], "a step every few seconds"
    machine.round_seconds = 0.03
    assert machine.run(80) == NAMES[2::-1]
    assert machine.run(600) == []
    up = [now for now, _ in machine.changes[3:]]
    assert all(later - earlier > QUIET_SECONDS for earlier, later in itertools.pairwise(up))
    assert machine.changes[-1][1].told == (
        "the model has kept up for 20 s: wider hop -> as planned"
    )


def test_no_way_up_that_would_lead_down_at_once(machine):
    machine.round_seconds = 0.07
    machine.run(60)
    assert machine.ladder.rung.name == "wider hop"
    assert machine.run(3600) == []


def test_misses_begin_the_quiet_time_anew_and_hiccups_do_not(machine):
    while not machine.changes:
        machine.window(missed=True)
    machine.run(QUIET_SECONDS - 2)
    machine.window(missed=True)
    assert machine.run(4) == ["as planned"]
    while machine.ladder.index == 0:
        machine.window(missed=True)
    for _ in range(60):
        machine.window(missed=True)
        machine.run(1.0)
    assert machine.ladder.index > 0


def waits_on_dry(machine):
    """The seconds that each stay on the dry rung took, of those that ended."""
    falls = [now for now, change in machine.changes if change.rung.dry]
    climbs = [now for now, change in machine.changes if change.before.dry]
    return [climb - fall for fall, climb in zip(falls, climbs, strict=False)]


@pytest.mark.parametrize("round_seconds", [2.0, 50.0])
def test_failed_attempts_come_ever_more_rarely(machine, round_seconds):
    """The small model is too slow as well, which shows only when it is tried."""
    machine.round_seconds = round_seconds
    machine.run(2 * 3600)
    waits = waits_on_dry(machine)
    assert waits[:4] == pytest.approx([1, 2, 4, 8], abs=6 * PLAN.hop_seconds)
    assert waits[4:] == pytest.approx([MOST_DRY_SECONDS] * len(waits[4:]), abs=6 * PLAN.hop_seconds)


def test_an_attempt_that_held_makes_the_wait_short_again(machine):
    machine.round_seconds = 2.0
    machine.run(500)
    assert waits_on_dry(machine)[-1] > 2 * DRY_SECONDS
    machine.round_seconds = 0.03
    machine.run(1000)
    assert machine.ladder.index == 0
    seen = len(waits_on_dry(machine))
    machine.round_seconds = 2.0
    machine.run(300)
    assert waits_on_dry(machine)[seen] == pytest.approx(DRY_SECONDS, abs=6 * PLAN.hop_seconds)


@given(
    loads=st.lists(st.tuples(st.floats(0.001, 5.0), st.integers(1, 120)), min_size=1, max_size=12)
)
@settings(max_examples=25, deadline=None)
def test_whatever_comes_it_moves_one_rung_at_a_time_and_comes_home(loads):
    machine = Machine(Ladder(make_rungs(PLAN, [SMALL])))
    for machine.round_seconds, seconds in loads:
        machine.run(seconds)
    machine.round_seconds = 0.03
    machine.run(5 * (MOST_QUIET_SECONDS + 5))
    assert machine.ladder.index == 0
    place = 0
    for _, change in machine.changes:
        assert abs(change.index - place) == 1
        assert change.before is machine.ladder.rungs[place]
        assert change.rung is machine.ladder.rungs[change.index]
        place = change.index


def test_a_ladder_without_lower_rungs_than_dry():
    bare = replace(PLAN, lookahead_frames=0)
    machine = Machine(Ladder(make_rungs(replace(bare, request=replace(bare.request, shifts=0)))))
    assert [rung.name for rung in machine.ladder.rungs] == ["as planned", "dry"]
    machine.round_seconds = 2.0
    assert machine.run(10)[0] == "dry"
    machine.round_seconds = 0.03
    machine.run(30)
    assert machine.ladder.index == 0
