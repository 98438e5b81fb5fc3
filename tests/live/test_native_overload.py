"""The native engine under too much load, on virtual time: what is given up, and for how long."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from live.support.causal import small_causal
from live.support.staging import Run, card, noise_source, running

from cli.screen import line
from streamer.live.realtime.callbacks import FADE_FRAMES
from streamer.live.realtime.hop_engine import HopEngine
from streamer.live.realtime.hop_loop import FAILED, MADE
from streamer.live.realtime.port import Record
from streamer.live.status import Reason, State
from streamer.live.telemetry.metrics import RunCollector
from streamer.live.telemetry.report import plain
from streamer.live.telemetry.report_page import page
from streamer.live.telemetry.verdict import LiveReport, Outcome, judge
from streamer.models.separator import Bag
from streamer.testing.virtual_device import VirtualDevice

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
        self._heard = 0

    def step(self, most: int = 0) -> int:
        now, heard = self._now(), 0
        while self._free_at <= now and super().step(most=1):
            self._free_at = max(self._free_at, now - 0.002) + self._load(now) * HOP_SECONDS
            heard += 1
        self._heard += heard
        return heard

    def notes(self) -> Record:
        notes = super().notes()
        computed = np.isin(notes["outcome"], (MADE, FAILED))
        seconds = self._load(self._now()) * HOP_SECONDS
        notes["began_seconds"] -= seconds * computed
        if len(notes):  # what else was heard had been missed
            notes["caught_up_seconds"][-1] += seconds * (self._heard - np.count_nonzero(computed))
            self._heard = 0
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


def test_the_load_counts_the_time_that_catching_up_takes(bag):
    """Half a second is missed. To hear what it missed the model then has no rest for a while."""
    with overloaded(bag, lambda _: 0.5) as run:
        run.advance(4)
        run.backend.advance(0.5)  # nobody makes hops
        run.advance(0.02)
        held_up = run.session.status()
        run.advance(0.3)
        caught_up = run.session.status()
    assert caught_up.dry_frames > 0.5 * RATE
    assert held_up.load < 0.45, "nothing was heard in that time"
    assert caught_up.load > held_up.load + 0.05
    assert caught_up.rtf == pytest.approx(0.5, abs=0.02), "of what was separated alone"


def test_a_second_at_twice_the_load_costs_what_it_lasts_and_no_step(bag):
    with overloaded(bag, lambda now: 2.0 if 2 < now < 3 else 0.3) as run:
        run.advance(6)
        status = run.session.status()
        assert not run.told
    assert 0 < status.dry_frames < 1.6 * RATE
    assert status.state is State.RUNNING


def heard_dry_frames(device: VirtualDevice) -> int:
    """For how long the mix, on outputs 3 and 4, sounded without the stems on 1 and 2."""
    out = np.abs(device.heard(0, device.heard_frames))
    return int(((out[:, :2].max(axis=1) == 0) & (out[:, 2:4].max(axis=1) > 0)).sum())


def told_everywhere(report: LiveReport) -> dict[str, dict[str, str]]:
    """Each figure as it is told: in the status line, in JSON, on the page, to Prometheus."""
    status, told, html, shown = report.status, plain(report), page(report), line(report.status)
    samples = {
        sample.name.removeprefix("stemstream_"): sample.value
        for metric in RunCollector(lambda: status, report.latency).collect()
        for sample in metric.samples
        if not sample.labels
    }
    tiles = dict(re.findall(r"<span>([^<]*)</span><b>([^<]*)</b>", html))
    (of_windows,) = re.findall(r"of ([0-9,]+) windows", html)
    (line_missed,) = re.findall(r"(\d+) missed window", shown)
    (line_dry,) = re.findall(r"([0-9.]+%) dry", shown)
    reasons = " ".join(judge(report).reasons)
    (reason_missed,) = re.findall(r"(\d+) missed window", reasons)
    (reason_dry,) = re.findall(r"no stems for ([0-9.]+%)", reasons)
    return {
        "missed": {
            "line": line_missed,
            "json": str(told["deadline_misses"]),
            "timeline": str(sum(point["missed"] for point in told["timeline"])),
            "page": tiles["missed windows"].replace(",", ""),
            "reasons": reason_missed,
            "prometheus": f"{samples['deadline_misses_total']:.0f}",
        },
        "windows": {
            "json": str(told["windows"]),
            "timeline": str(sum(point["windows"] for point in told["timeline"])),
            "page": of_windows.replace(",", ""),
        },
        "dry share": {
            "line": line_dry,
            "json": f"{told['dry_share']:.1%}",
            "json, of frames": f"{told['dry_frames'] / told['played_frames']:.1%}",
            "page": tiles["without stems"],
            "reasons": reason_dry,
            "prometheus": f"{samples['dry_share']:.1%}",
            "prometheus, of frames": (
                f"{samples['dry_frames_total'] / samples['played_frames_total']:.1%}"
            ),
        },
        "rtf": {
            "json": f"{told['rtf']:.2f}",
            "page": tiles["real-time factor"],
            "prometheus": f"{samples['real_time_factor']:.2f}",
        },
    }


def test_all_figures_of_a_run_agree_with_each_other_and_with_what_was_heard(bag):
    """A hiccup, then an overload that makes it dry, then time enough."""
    device = card(noise_source(seconds=20, rate=RATE), rate=RATE)
    hops = partial(SlowHops, load=lambda now: 1.5 if 4 < now < 8 else 0.3)
    wish = {**WISH, "route": ["drums=1,2", "mix=3,4"], "fallback": "silence", "latency": 0.06}
    with running([device], lambda _: bag, hops=hops, **wish) as run:
        run.advance(2)
        run.backend.advance(0.05)  # nobody makes hops
        run.advance(0.5)
        after_the_hiccup = run.session.status()
        run.advance(12)
        run.session.quit()
        run.advance(0.1)
        report = run.session.report()
        shortfalls = run.session.streams.ports["card"].counters().shortfalls
    for name, values in told_everywhere(report).items():
        assert len(set(values.values())) == 1, (name, values)
    status, latency = report.status, report.latency
    assert any(event.text.endswith("as planned -> dry") for event in report.events)
    assert status.deadline_misses == latency.missed > after_the_hiccup.deadline_misses > 0
    assert latency.windows - latency.missed == latency.delay.count
    assert 0.3 < status.rtf < 1.5, "of the whole run"
    assert judge(report).outcome is Outcome.BROKEN
    # as it was heard; what fades is dry from the middle of the fade on
    assert heard_dry_frames(device) == pytest.approx(
        status.dry_frames, abs=2 * FADE_FRAMES * shortfalls
    )
    assert 0.05 < status.dry_share < 0.4


def test_a_run_whose_stems_come_too_late_for_most_of_the_time_does_not_say_running(bag):
    """The devices bring the sound late, so no smaller model would help; but it is said."""
    device = card(noise_source(seconds=12, rate=RATE), rate=RATE, burst_blocks=8)
    with running([device], lambda _: bag, **WISH) as run:
        run.advance(8)
        late = run.session.status()
        device.burst_blocks = 1
        run.advance(4)
        in_time = run.session.status()
    assert late.dry_share > 0.5
    assert (late.state, late.reason, late.rung) == (State.DEGRADED, Reason.OVERLOAD, 0)
    assert in_time.state is State.RUNNING
