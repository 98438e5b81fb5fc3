"""The native engine under too much load, on virtual time: what is given up, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from live.support.causal import small_causal
from live.support.staging import Run, card, noise_source, running

from streamer.live.realtime.hop_engine import HopEngine
from streamer.live.realtime.hop_loop import FAILED, MADE
from streamer.live.realtime.port import Record
from streamer.live.status import State
from streamer.live.telemetry.report import plain
from streamer.live.telemetry.verdict import Outcome, judge
from streamer.models.separator import Bag

RATE = 44100
HOP_SECONDS = 512 / RATE
WISH = {"hop": None, "lookahead": None, "route": ["drums=1,2"], "window_seconds": 0.001}


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Bag:
    return small_causal(tmp_path_factory.mktemp("causal"))


class SlowHops(HopEngine):
    """Each hop that the network hears takes so much of a hop's time: ``load(second)``."""

    def __init__(self, *parts: object, load: Callable[[float], float], **more: object) -> None:
        super().__init__(*parts, **more)
        self._now, self._load = more["clock"], load
        self._free_at = 0.0

    def step(self, most: int = 0) -> int:
        now, heard = self._now(), 0
        while self._free_at <= now and super().step(most=1):
            self._free_at = max(self._free_at, now - 0.002) + self._load(now) * HOP_SECONDS
            heard += 1
        return heard

    def notes(self) -> Record:
        notes = super().notes()
        computed = np.isin(notes["outcome"], (MADE, FAILED))
        notes["began_seconds"] -= self._load(self._now()) * HOP_SECONDS * computed
        return notes


def overloaded(bag: Bag, load: Callable[[float], float], **wish: object):
    device = card(noise_source(seconds=40, rate=RATE), rate=RATE)
    hops = partial(SlowHops, load=load)
    return running([device], lambda _: bag, hops=hops, **{**WISH, **wish})


def seconds_of_steps(run: Run, seconds: float) -> list[tuple[float, str]]:
    """When it took which step."""
    steps = []
    for tick in range(round(seconds / 0.1)):
        run.advance(0.1)
        while len(steps) < len(run.told):
            steps.append((round(0.1 * (tick + 1), 1), run.told[len(steps)].split(": ")[-1]))
    return steps


def test_a_load_over_100_for_2_s_makes_it_dry_and_it_is_tried_again_and_again(bag):
    """The waits double: `overload/test_ladder.py` has them all."""
    with overloaded(bag, lambda _: 1.3) as run:
        steps = seconds_of_steps(run, 9)
        status = run.session.status()
        report = run.session.report()
    down = [at for at, told in steps if told == "as planned -> dry"]
    up = [at for at, told in steps if told == "dry -> as planned"]
    assert 2 <= down[0] <= 3
    waits = [end - begin for begin, end in zip(down, up, strict=False)]
    assert waits == pytest.approx([1, 2], abs=0.3)
    told = plain(report)
    assert told["dry_share"] == status.dry_share > 0.3
    assert judge(report).outcome is Outcome.INTERRUPTED
    assert f"no stems for {status.dry_share:.1%}" in " ".join(told["promise_reasons"])
    assert told["rtf"] == pytest.approx(1.3, abs=0.05), "of the whole run, not of its last seconds"


@pytest.mark.parametrize("load", [0.1, 0.5, 0.8])
def test_a_hiccup_of_50_ms_is_one_gap_of_less_than_0_3_s_and_no_step(bag, load):
    with overloaded(bag, lambda _: load) as run:
        run.advance(1)
        port = next(iter(run.session.streams.ports.values()))
        before = port.counters()
        run.backend.advance(0.05)  # nobody makes hops
        run.advance(2)
        after, status = port.counters(), run.session.status()
        assert not run.told
    assert before.dry_frames == 0
    assert 0 < after.dry_frames < 0.3 * RATE
    assert after.shortfalls == 1
    assert status.rung == 0


def test_a_second_at_twice_the_load_costs_what_it_lasts_and_no_step(bag):
    with overloaded(bag, lambda now: 2.0 if 2 < now < 3 else 0.3) as run:
        run.advance(6)
        status = run.session.status()
        assert not run.told
    assert 0 < status.dry_frames < 1.6 * RATE
    assert status.state is State.RUNNING
