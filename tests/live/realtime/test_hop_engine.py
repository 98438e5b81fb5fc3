"""The compiled loop of a model that goes along the stream, stepped by hand: no thread, no clock."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
from live.support.blocks import VIRTUAL
from live.support.causal import small_causal
from support.doubles import noise

from ringbuffer import Ring
from streamer import Processor, Settings
from streamer.live.realtime import memory_lock, wake
from streamer.live.realtime.callbacks import playback
from streamer.live.realtime.hop_engine import HopEngine, HopModel, can_run
from streamer.live.realtime.hop_loop import FAILED, IDLE, MADE, SKIPPED
from streamer.live.realtime.port import address_of
from streamer.live.realtime.ports import CapturePort, PlaybackPort
from streamer.live.realtime.run_clock import SYSTEM_CLOCK, RunClock
from streamer.models.networks.causal import CausalBandSplit
from streamer.models.networks.causal_shape import HOP
from streamer.models.networks.filters import CausalFilters
from streamer.models.separator import Bag
from streamer.pipeline.derive import derive
from streamer.pipeline.gaps import EDGE_FRAMES, GapEdges

RATE = 44100
CAPACITY = 4 * RATE
CONTEXT_HOPS = CausalBandSplit.stride.context_hops


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Bag:
    return small_causal(tmp_path_factory.mktemp("causal"))


class Staged:
    """An engine between a capture port and the ring of an output."""

    def __init__(
        self,
        bag: Bag,
        capacity: int = CAPACITY,
        tap: Ring | None = None,
        clock: RunClock = VIRTUAL,
        **wish,
    ) -> None:
        self.bag, self.settings = bag, Settings(**wish)
        derivation = derive(bag.name, bag.names, self.settings)
        self.names = derivation.names
        self.port = PlaybackPort(
            len(self.names), 2, RATE, 2048, capacity_frames=max(capacity, 4096)
        )
        self.capture = CapturePort(2, RATE, [self.port], capacity_frames=CAPACITY)
        model = HopModel.of(bag, derivation, self.settings)
        self.engine = HopEngine(model, self.capture, [self.port], clock=clock, tap=tap)
        self.engine.warm_up()

    def play(self, signal, block: int = HOP) -> None:
        for at in range(0, len(signal), block):
            self.capture.feed(signal[at : at + block])
            self.engine.step()

    def be_heard(self, frames: int) -> None:
        """Have the output play on."""
        block = np.zeros((frames + self.port.delay_frames, 2), np.float32)
        playback(self.port.address, address_of(block), len(block), 0.0, 0.0, 0)

    def given(self):
        """The stems ``(stems, frames, 2)`` that came since the last call, and where they are."""
        rows = np.zeros((self.port.stem_ring.readable_frames, 2 * len(self.names) + 1), "f4")
        self.port.stem_ring.read(rows)
        return rows[:, :-1].reshape(len(rows), -1, 2).transpose(1, 0, 2), rows[:, -1]

    def of_a_file(self, signal):
        with Processor(self.settings, bag=self.bag) as processor:
            processor.prepare(RATE, 4096, 2)
            parts = processor.feed(signal) + processor.flush()
        return np.concatenate([part.data for part in parts], axis=1)

    def outcomes(self) -> list[int]:
        return list(self.engine.notes()["outcome"])


@pytest.mark.parametrize("block", [37, 64, HOP, 1000, 5000])
def test_the_stems_are_those_of_a_file_for_any_block(bag, block):
    staged, signal = Staged(bag), noise(RATE)
    staged.play(signal, block)
    stems, wet = staged.given()
    assert len(wet) == len(signal) // HOP * HOP - HOP
    assert wet.all()
    np.testing.assert_allclose(stems, staged.of_a_file(signal)[:, : len(wet)], atol=1e-5)


@pytest.mark.parametrize(
    "wish",
    [
        {"stems": ("vocals", "bass")},
        {"two_stems": "vocals"},
        {"two_stems": "drums", "other_method": "minus"},
        {"stems": ("drums",), "residual": True},
        {"conserve": True},
        {"normalize": "none", "clip_mode": "clamp"},
        {"clip_mode": "none"},
    ],
    ids=str,
)
def test_stems_that_are_derived_are_those_of_a_file(bag, wish):
    staged, signal = Staged(bag, **wish), 8 * noise(40 * HOP)
    staged.play(signal, 700)
    stems, _ = staged.given()
    np.testing.assert_allclose(
        stems, staged.of_a_file(signal)[:, : stems.shape[1]], rtol=1e-5, atol=1e-5
    )


def test_hops_that_waited_are_made_one_after_the_other_and_have_no_hole(bag):
    staged, signal = Staged(bag), noise(60 * HOP)
    staged.play(signal[: 20 * HOP])
    staged.capture.feed(signal[20 * HOP : 35 * HOP])  # nobody came for so long
    staged.play(signal[35 * HOP :])
    stems, wet = staged.given()
    assert wet.all()
    np.testing.assert_allclose(stems, staged.of_a_file(signal)[:, : len(wet)], atol=1e-5)


def test_hops_that_waited_too_long_are_a_gap_and_the_next_has_its_stems(bag):
    staged, signal = Staged(bag), noise(90 * HOP)
    staged.play(signal[: 10 * HOP])
    staged.engine.notes()
    staged.capture.feed(signal[10 * HOP : 60 * HOP])
    staged.be_heard(60 * HOP)
    staged.engine.step()
    assert staged.outcomes() == [SKIPPED] * 50
    staged.play(signal[60 * HOP :])
    _, wet = staged.given()
    assert staged.port.stem_ring.end_frame == 89 * HOP
    assert not wet[EDGE_FRAMES : -30 * HOP].any()
    assert wet[-30 * HOP + EDGE_FRAMES :].all()


def test_a_network_that_catches_up_does_a_hop_at_a_time_and_what_is_late_for_it_is_a_gap(bag):
    """So a long way back is no second gap: stems begin where they can go on."""
    staged, signal = Staged(bag), noise(90 * HOP)
    staged.engine.idle(idle=True)
    staged.play(signal[: 30 * HOP])
    staged.engine.idle(idle=False)
    staged.outcomes()
    staged.be_heard(30 * HOP)
    heard = 0
    for number in range(30, 60):  # a hop of sound is as long as two of the network
        staged.capture.feed(signal[number * HOP : (number + 1) * HOP])
        heard += staged.engine.step(most=2)
        staged.be_heard(HOP - 2048)
    outcomes = staged.outcomes()
    first = outcomes.index(MADE)
    assert outcomes == [SKIPPED] * first + [MADE] * (30 - first)
    assert 19 <= first <= 21, "twenty hops of the past, one more in each"


def test_hops_that_came_ahead_of_time_are_all_made_however_many_there_are(bag):
    """As a file's, before an output plays."""
    staged, signal = Staged(bag), noise(90 * HOP)
    staged.play(signal, 90 * HOP)
    stems, wet = staged.given()
    assert wet.all()
    np.testing.assert_allclose(stems, staged.of_a_file(signal)[:, : len(wet)], atol=1e-5)


def test_a_network_that_lost_its_place_hears_again_what_came_before(bag):
    """So near to the beginning that it hears all of it, it gives what it would have given."""
    staged, signal = Staged(bag), noise(40 * HOP)
    staged.play(signal[: 5 * HOP])
    staged.engine.idle(idle=True)
    staged.play(signal[5 * HOP : CONTEXT_HOPS * HOP])
    staged.engine.idle(idle=False)
    staged.engine.notes()
    staged.play(signal[CONTEXT_HOPS * HOP :])
    assert set(staged.outcomes()) == {MADE}
    stems, wet = staged.given()
    back = (CONTEXT_HOPS - 1) * HOP + EDGE_FRAMES
    expected = staged.of_a_file(signal)[:, : len(wet)]
    assert not wet[4 * HOP + EDGE_FRAMES : back - EDGE_FRAMES].any()
    np.testing.assert_allclose(stems[:, back:], expected[:, back:], atol=1e-5)


def test_what_is_idle_is_a_gap_and_counts_as_wanted(bag):
    staged, signal = Staged(bag), noise(10 * HOP)
    staged.engine.idle(idle=True)
    staged.play(signal)
    assert staged.outcomes() == [IDLE] * 9
    stems, wet = staged.given()
    assert not wet[EDGE_FRAMES:].any()
    assert not stems[:, EDGE_FRAMES:].any()


def test_a_hop_that_is_no_number_is_a_gap_and_the_stream_begins_anew(bag):
    staged, signal = Staged(bag, normalize="none"), noise(40 * HOP)
    signal[10 * HOP + 5] = np.nan  # a device's would have become silence
    for at in range(0, len(signal), HOP):
        staged.capture.ring.write(signal[at : at + HOP])
        staged.engine.step()
    stems, wet = staged.given()
    assert np.isfinite(stems).all()
    outcomes = np.array(staged.outcomes())
    last = 1 + np.flatnonzero(outcomes == FAILED)[-1]
    assert (outcomes[9:last] == FAILED).all()
    assert (outcomes[:9] == MADE).all()
    assert (outcomes[last:] == MADE).all()
    assert not wet[9 * HOP + EDGE_FRAMES : last * HOP].any()
    fresh = Staged(bag, normalize="none")
    fresh.play(signal[last * HOP :])
    anew, _ = fresh.given()
    skip = EDGE_FRAMES
    np.testing.assert_allclose(stems[:, last * HOP + skip :], anew[:, skip:], atol=1e-5)


def test_gaps_have_the_edges_that_they_have_in_python(bag):
    wish = {"normalize": "none", "clip_mode": "none"}
    staged, signal = Staged(bag, **wish), noise(20 * HOP)
    staged.play(signal[: 8 * HOP])
    staged.engine.idle(idle=True)
    staged.play(signal[8 * HOP : 12 * HOP])
    staged.engine.idle(idle=False)
    staged.play(signal[12 * HOP :])
    stems, wet = staged.given()
    edges, whole, expected = GapEdges(4, 2), staged.of_a_file(signal), []
    for number in range(19):
        gap = 7 <= number < 11
        carried = np.zeros((5, HOP, 2), "f4")
        carried[-1] = gap
        if not gap:
            carried[:-1] = whole[:, number * HOP : (number + 1) * HOP]
        expected.append(edges.feed(carried, gap=gap))
    expected = np.concatenate(expected, axis=1)
    np.testing.assert_allclose(stems, expected[:-1], atol=1e-5)
    np.testing.assert_allclose(wet, 1 - expected[-1, :, 0], atol=1e-6)


def test_what_finds_no_room_is_a_gap_later_and_positions_stay_true(bag):
    staged, signal = Staged(bag, capacity=4096), noise(40 * HOP)
    staged.play(signal[: 20 * HOP])
    first, _ = staged.given()
    staged.play(signal[20 * HOP : 24 * HOP])
    _, wet = staged.given()
    expected = staged.of_a_file(signal)
    assert first.shape[1] == 4096
    np.testing.assert_allclose(first, expected[:, :4096], atol=1e-5)
    assert len(wet) == 4096
    assert not wet.any(), "the gap up to where the stems are now fills the ring"


def test_the_tap_gets_what_the_outputs_get(bag):
    tap = Ring(CAPACITY, 9)
    staged = Staged(bag, tap=tap)
    staged.play(noise(30 * HOP))
    stems, wet = staged.given()
    rows = np.zeros((tap.readable_frames, 9), "f4")
    tap.read(rows)
    np.testing.assert_array_equal(rows[:, -1], wet)
    np.testing.assert_array_equal(rows[:, :2], stems[0])


def test_each_hop_tells_when_it_was_made_and_how_far_the_output_had_come(bag):
    staged = Staged(bag)
    VIRTUAL.virtual[0] = 3.25
    staged.play(noise(4 * HOP))
    notes = staged.engine.notes()
    assert list(notes["frame"]) == [0, HOP, 2 * HOP]
    for name in ("seen_seconds", "began_seconds", "ended_seconds"):
        assert set(notes[name]) == {3.25}
    assert set(notes["played_to"]) == {-2048.0}
    assert not len(staged.engine.notes())


def test_no_memory_is_taken_while_it_runs(bag):
    from numba.core.runtime import _nrt_python as runtime

    def taken(hops: int) -> int:
        staged.capture.feed(noise(hops * HOP))
        before = int(runtime.memsys_get_stats_alloc())
        assert staged.engine.step() == hops
        return int(runtime.memsys_get_stats_alloc()) - before

    staged = Staged(bag)
    runtime.memsys_enable_stats()
    assert taken(60) == taken(20) == taken(1) == taken(0), "to begin a call takes some"


@pytest.mark.parametrize("woken", [True, False], ids=["by-semaphore", "by-itself"])
def test_on_a_thread_it_makes_the_same_and_ends_when_it_is_told_to(bag, woken, monkeypatch):
    if not woken:  # as on macOS
        monkeypatch.setattr(wake, "_begin", lambda _address: False)
    staged, signal = Staged(bag), noise(12 * HOP)
    staged.engine.start()
    for block in np.split(signal, 24):
        staged.capture.feed(block)
    notes: list[int] = []
    while len(notes) < 11:
        notes += list(staged.engine.notes()["frame"])
    staged.engine.stop()
    staged.engine.stop()
    stems, _ = staged.given()
    np.testing.assert_allclose(stems, staged.of_a_file(signal)[:, : stems.shape[1]], atol=1e-5)


def test_silence_in_place_of_a_device_that_is_away_wakes_its_thread_too(bag):
    staged = Staged(bag)
    staged.engine.start()
    notes: list[int] = []
    try:
        for number in range(12):
            staged.capture.skip(HOP)
            due = time.monotonic() + 20.0
            while len(notes) < number - 1 and time.monotonic() < due:
                notes += list(staged.engine.notes()["frame"])
            assert len(notes) >= number - 1
    finally:
        staged.engine.stop()


@pytest.mark.skipif(not memory_lock.is_granted(), reason="this user may not lock memory")
def test_while_its_thread_runs_what_the_process_touches_stays_in_memory(bag):
    def locked() -> int:
        return int(re.search(r"VmLck:\s+(\d+)", Path("/proc/self/status").read_text())[1])

    staged = Staged(bag)
    staged.engine.start()
    during = locked()
    staged.engine.stop()
    staged.engine.stop()
    assert during > 0
    assert locked() == 0


def test_the_time_for_what_later_hops_need_is_told(tmp_path):
    staged = Staged(small_causal(tmp_path, CausalFilters), clock=SYSTEM_CLOCK)
    begun = SYSTEM_CLOCK()
    staged.play(noise(40 * HOP))
    assert 0 < staged.engine.notes()["ahead_seconds"].sum() < SYSTEM_CLOCK() - begun


def test_the_time_to_hear_again_what_was_missed_is_told(bag):
    staged, signal = Staged(bag, clock=SYSTEM_CLOCK), noise(40 * HOP)
    staged.play(signal[: 5 * HOP])
    staged.engine.idle(idle=True)
    staged.play(signal[5 * HOP : 30 * HOP])
    staged.engine.idle(idle=False)
    assert not staged.engine.notes()["caught_up_seconds"].any()
    begun = SYSTEM_CLOCK()
    staged.play(signal[30 * HOP :])
    first, *later = staged.engine.notes()["caught_up_seconds"]
    assert 0 < first < SYSTEM_CLOCK() - begun
    assert not any(later)


def test_it_runs_one_network_on_the_native_backend_at_rates_with_a_filter(bag, tiny_bag):
    assert can_run(bag, RATE)
    assert can_run(bag, 48000)
    assert not can_run(bag, 8000)
    assert not can_run(tiny_bag, RATE)
