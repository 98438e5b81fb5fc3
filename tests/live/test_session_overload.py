"""A model that does not keep up: what a live run gives up, how it sounds, and how it comes back."""

from __future__ import annotations

import numpy as np
import pytest
from live.support.staging import (
    ALONG,
    Run,
    Scaled,
    along,
    begun,
    card,
    delay_between,
    noise_source,
    one,
    running,
    tone,
)
from support.doubles import RATE, SmallDevice

from streamer.live.status import Reason, State
from streamer.live.telemetry.report import plain
from streamer.live.telemetry.verdict import Outcome, judge
from streamer.models.backends.sparing import SparingSeparator

FADE_STEP = 1 / 256
GIVES_UP = ["wider hop", "1 shift", "model small", "dry"]


def rungs_of(run: Run) -> list[str]:
    """The rungs that were told, each as where it led to."""
    return [told.rpartition("-> ")[2] for told in run.told]


def assert_no_step(out: np.ndarray, smooth: np.ndarray) -> None:
    steepest = np.abs(np.diff(smooth, axis=0)).max() + np.abs(smooth).max() * FADE_STEP
    assert np.abs(np.diff(out, axis=0)).max() <= steepest * 1.01


def small() -> tuple[object, float]:
    bag = one(Scaled())
    return type(bag)("small", bag.members, bag.names, bag.samplerate, bag.channels), 0.005


def test_the_ladder_is_walked_down_and_up() -> None:
    smooth = tone(98)
    device = card(smooth)
    slow = [True]
    with running(
        [device],
        compute=lambda _: 0.35 if slow[0] else 0.02,
        smaller=small(),
        shifts=2,
        lookahead=0.15,
        route=["bass=1,2"],
    ) as run:
        announced = run.announced_frames
        for _ in range(40):
            if "dry" not in rungs_of(run):
                run.advance(0.5)
        worst = run.session.status()
        assert rungs_of(run) == GIVES_UP
        assert (worst.state, worst.reason) == (State.DEGRADED, Reason.OVERLOAD)
        assert (worst.rung_name, worst.detail, worst.model) == ("dry", "dry", "small")
        slow[0] = False
        run.advance(87)
        best = run.session.status()
    up = ["model small", "1 shift", "wider hop", "as planned"]
    assert rungs_of(run) == GIVES_UP + up
    assert (best.state, best.rung) == (State.RUNNING, 0)
    assert best.model == "tiny"
    assert best.dropped_frames == best.xruns == best.device_losses == 0
    assert run.announced_frames == announced
    # the output never stopped, nor stepped; the stem is half of the mix, and stands in for it
    assert best.played_frames > 95.8 * RATE
    out = device.heard(0, device.heard_frames)[:, :2]
    assert_no_step(out, smooth)
    start = begun() + 2 * RATE
    whole = smooth[start - announced : len(out) - announced]
    assert (np.abs(out[start:]) <= np.abs(whole) + 1e-4).all()
    assert (np.abs(out[start:]) >= 0.5 * np.abs(whole) - 1e-4).all()


def test_the_delay_stays_when_the_plan_gives_way() -> None:
    signal = noise_source(seconds=40)
    device = card(signal)
    with running(
        [device], compute=lambda n: 0.13 if n < 20 else 0.01, lookahead=0.15, route=["drums=1,2"]
    ) as run:
        announced = run.announced_frames
        run.advance(32)
        assert rungs_of(run) == ["wider hop", "as planned"]
        log = run.session.latency()
    for second in (1.5, 4.0, 6.0, 15.0, 31.0):
        delay = delay_between(device, signal, device, second)
        assert round(delay * RATE) == announced
    assert log.delay.summary().max == pytest.approx(announced / RATE, rel=1e-3)
    out = device.heard(0, device.heard_frames)[:, :2]
    np.testing.assert_allclose(
        out[2 * RATE :], signal[2 * RATE - announced :][: len(out) - 2 * RATE], atol=1e-6
    )


def test_one_slow_window_is_a_gap_and_no_step_of_the_ladder() -> None:
    smooth = tone(6)
    device = card(smooth)
    with running([device], compute=lambda n: 0.25 if n == 20 else 0.02, route=["bass=1,2"]) as run:
        run.advance(5)
        status = run.session.status()
    assert run.told == []
    assert (status.state, status.rung) == (State.RUNNING, 0)
    assert 1 <= status.deadline_misses <= 3
    out = device.heard(0, device.heard_frames)[:, :2]
    assert_no_step(out, smooth)


@pytest.mark.parametrize("held_up", ["model", "engine", "device"])
def test_one_hiccup_of_50_ms_never_costs_more_than_0_3_s_of_dry(held_up: str) -> None:
    """Wherever in a hop it comes; the model computes for most of the time there is."""
    dry_seconds = []
    for moment in range(5):
        device = card(noise_source(seconds=4))
        slow = {60 + moment: 0.05} if held_up == "model" else {}
        wish = {**ALONG, "window_seconds": 0.002}
        with running(
            [device], along, compute=lambda n, slow=slow: slow.get(n, 0.01), **wish
        ) as run:
            assert run.session.plan.hop_seconds == 0.016
            run.advance(1 + 0.003 * moment)
            if held_up == "device":
                device.pause(0.05, loses=False)
            if held_up == "engine":
                run.backend.advance(0.05)
            run.advance(2)
            status = run.session.status()
            assert run.told == []
        dry_seconds.append(status.dry_frames / RATE)
    assert max(dry_seconds) <= 0.3
    assert held_up == "device" or max(dry_seconds) > 0, "it was held up for longer than planned"


def test_all_counts_of_a_run_agree_with_what_was_heard() -> None:
    """It is late, skips and fails; then it is dry; then it ends, and plays out without stems."""
    device = card(noise_source(seconds=40))
    slow = [False]
    with running(
        [device], compute=lambda n: 0.45 if slow[0] else 0.05, lookahead=0.0, route=["bass=1,2"]
    ) as run:
        run.advance(10)
        assert run.session.status().dry_frames == 0
        assert run.session.status().rtf == pytest.approx(0.5, rel=0.1)
        slow[0] = True
        run.advance(6)
        run.session.quit()
        asked = run.session.report().status
        run.advance(1)  # the devices play on
        report = run.session.report()
    told, status = plain(report), report.status
    assert "dry" in rungs_of(run)
    assert told["deadline_misses"] == report.latency.missed == status.deadline_misses > 5
    assert sum(point.missed for point in report.latency.timeline.points()) == status.deadline_misses
    assert told["dry_share"] == status.dry_share
    assert 0.15 < status.dry_share < 0.4
    assert status.dry_frames == pytest.approx(asked.dry_frames, abs=0.1 * RATE)
    assert status.rtf > 0.5, "what was dry does not make it less"
    assert sum(report.planned_parts.values()) == pytest.approx(status.delay_seconds)
    (reason,) = (one for one in judge(report).reasons if "missed" in one)
    assert reason.startswith(f"{status.deadline_misses} missed windows")
    assert judge(report).outcome is Outcome.INTERRUPTED


def test_without_adapting_a_slow_model_is_heard_where_it_is_in_time() -> None:
    device = card(noise_source(seconds=12))
    with running([device], compute=lambda _: 0.25, adapt=False, route=["bass=1,2"]) as run:
        run.advance(10)
        status = run.session.status()
    assert run.told == []
    assert status.rung == 0
    assert status.deadline_misses > 20
    assert status.dropped_frames == 0


def test_a_budget_shorter_than_a_block_is_no_hold_up() -> None:
    device = card(noise_source(seconds=12))
    wish = {"lookahead": 0.15, "latency": 0.46, "route": ["bass=1,2"], "blocksize": 512}
    with running([device], compute=lambda _: 0.35, **wish) as run:
        assert run.session.plan.budget_seconds < 512 / RATE
        run.advance(6)
        assert rungs_of(run) == ["wider hop", "dry"]


@pytest.mark.parametrize("fallback", ["dry", "silence"])
def test_what_plays_where_the_stems_are_missing(fallback: str) -> None:
    signal = noise_source(seconds=8)
    device = card(signal)
    with running(
        [device], compute=lambda _: 5.0, fallback=fallback, route=["drums=1,2", "mix=3,4"]
    ) as run:
        run.advance(6)
        announced = run.announced_frames
    out = device.heard(0, device.heard_frames)[:, :4]
    played = signal[RATE : len(out) - announced]
    stems = played if fallback == "dry" else 0 * played
    np.testing.assert_allclose(out[announced + RATE :, :2], stems, atol=1e-6)
    np.testing.assert_allclose(out[announced + RATE :, 2:], played, atol=1e-6)


@pytest.mark.parametrize("hop", [0.1, 0.6])
@pytest.mark.parametrize("first", [1, 7])
def test_a_window_that_takes_5_s_costs_no_more_than_that_and_no_step(
    hop: float, first: int
) -> None:
    """Its misses were counted twice, so the run went dry when the model was there again."""
    device = card(noise_source(seconds=24))
    told = {"hop": hop, "lookahead": 0.2, "window_seconds": 0.6 * hop, "route": ["bass=1,2"]}
    with running(
        [device],
        lambda wish: one(Scaled(round((wish.window or 2.0) * RATE))),
        compute=lambda n: 5.0 if n == first else 0.62 * hop,
        **told,
    ) as run:
        run.advance(16)
        status = run.session.status()
        assert run.told == []
    assert 3.5 * RATE < status.dry_frames < (5 + hop) * RATE
    assert status.state is State.RUNNING


def test_a_model_that_hangs_takes_no_step_and_the_run_says_that_it_is_dry() -> None:
    device = card(noise_source(seconds=20))
    with running(
        [device], compute=lambda n: 30.0 if n == 8 else 0.01, lookahead=0.15, route=["bass=1,2"]
    ) as run:
        run.advance(5)
        status = run.session.status()
        assert (status.state, status.reason) == (State.DEGRADED, Reason.OVERLOAD)
        assert (status.rung, status.detail) == (0, "dry most of the time")
        run.advance(3)
        status = run.session.status()
        assert (status.state, status.reason) == (State.DEGRADED, Reason.MODEL_FAILED)
    assert status.played_frames > 7.8 * RATE
    assert np.abs(device.heard(5 * RATE, RATE)[:, :2]).max() > 0.01, "the mix plays on"


def test_a_model_that_hangs_is_not_tried_again_before_it_answers() -> None:
    device = card(noise_source(seconds=40))
    with running(
        [device], compute=lambda n: 60.0 if n == 8 else 0.01, lookahead=0.15, route=["bass=1,2"]
    ) as run:
        run.advance(55)
        assert rungs_of(run) == ["the model hangs", "wider hop", "dry"]
        assert run.session.status().rung_name == "dry"
        # what comes after the window that hung is let go, and kept nowhere
        assert run.session.engine.processor.emitted_frames > 54 * RATE
        run.advance(85)
        assert (run.session.status().state, run.session.status().rung) == (State.RUNNING, 0)


def test_a_lookahead_of_many_hops_is_no_model_that_hangs() -> None:
    device = card(noise_source(seconds=60))
    wish = {"hop": 0.03, "lookahead": 0.3, "route": ["bass=1,2"], "blocksize": 64}
    with running([device], **wish) as run:
        run.advance(5)
        assert run.told == []
        assert run.session.status().state is State.RUNNING
    device = card(noise_source(seconds=60))
    with running([device], compute=lambda n: 0.1 if n < 30 else 0.01, **wish) as run:
        run.advance(50)
        assert rungs_of(run) == ["wider hop", "as planned"]


def test_a_device_without_the_memory_is_told_once_and_the_cpu_plays_on() -> None:
    device = card(noise_source(seconds=20))
    bag = one(SparingSeparator(SmallDevice(room=0)))
    with running([device], lambda _: bag, route=["bass=1,2"]) as run:
        run.advance(4)
        (told,) = run.told
        assert "memory ran out on cuda:7: the model went on on the CPU" in told
    assert np.abs(device.heard(2 * RATE, RATE)[:, :2]).max() > 0.01
