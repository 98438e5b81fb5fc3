"""Two clocks: the loops, the filter, and whole streams of two virtual devices."""

import numpy as np
import pytest
from live.support.blocks import VIRTUAL, call, gains_of, play
from support.doubles import noise

from streamer.live.realtime.callbacks import HALF_TAPS, PHASES, TAPS
from streamer.live.realtime.device_clock import DLL, dll_update
from streamer.live.realtime.drift import filter_table, start_dll
from streamer.live.realtime.ports import CapturePort, PlaybackPort
from streamer.testing.two_clocks import VirtualClock, run_two_clocks

RATE = 48000
SETTLED = 60
"""From this second on nothing but the jitter is left."""


def ports(delay=4800, capacity=1 << 16):
    playback = PlaybackPort(0, 1, RATE, delay, capacity_frames=capacity, drift=True)
    playback.set_gains(*gains_of(playback, mix_l=[1]))
    return on_virtual_time(CapturePort(1, RATE, [playback], capacity_frames=1024), playback)


def on_virtual_time(*ports):
    for port in ports:
        port.use_clock(VIRTUAL)
    return ports


def run(incoming, outgoing, seconds, delay=4800, capacity=1 << 16, **more):
    return run_two_clocks(ports(delay, capacity), (incoming, outgoing), seconds, **more)


def level_db(error, signal):
    return 10 * np.log10((error**2).mean() / (signal**2).mean())


def without_sine(samples, hertz):
    """What is left of the samples when the sine that fits best is taken away."""
    frame, turn = np.arange(len(samples)), 2 * np.pi * hertz / RATE
    for _ in range(6):
        cos, sin = np.cos(turn * frame), np.sin(turn * frame)
        base = np.stack([cos, sin, frame * cos, frame * sin], axis=1)
        a, b, at_cos, at_sin = np.linalg.lstsq(base, samples, rcond=None)[0]
        turn += (b * at_cos - a * at_sin) / (a * a + b * b)
    base = np.stack([np.cos(turn * frame), np.sin(turn * frame), np.ones(len(frame))], axis=1)
    return samples - base @ np.linalg.lstsq(base, samples, rcond=None)[0]


@pytest.mark.parametrize("ppm", [300, -300])
@pytest.mark.parametrize("blocks", [(512, 512), (64, 1024), (441, 128)])
def test_the_delay_holds_and_the_ratio_is_calm(ppm, blocks):
    clocks = (VirtualClock(ppm, blocks[0], 1e-3), VirtualClock(0, blocks[1], 1e-3))
    result = run(*clocks, 180)
    assert result.error_frames[15:].max() <= min(blocks) / 2
    assert np.abs(result.mean_ppm[15:] - ppm).max() < 10
    assert result.ripple_ppm[SETTLED:].max() <= 5
    counters = result.counters
    xruns = (counters.missing_frames, counters.dry_missing_frames, counters.shortfalls)
    assert (*xruns, counters.splices, result.lost_frames) == (0, 0, 0, 0, result.lost_frames)


@pytest.mark.parametrize("hertz", [997, 10007])
def test_a_pilot_comes_through_clean_at_the_reported_position(hertz):
    clocks = (VirtualClock(300, 512, 1e-3), VirtualClock(-200, 512, 1e-3))
    result = run(*clocks, 100, pilot_hertz=hertz, windows=(1.0, 98.0))
    calm = result.recorded[1]
    assert np.ptp(np.diff(result.positions[0])) > 50e-6  # the ratio moves, and a lot
    for recorded, positions in zip(result.recorded, result.positions, strict=True):
        turn = 2 * np.pi * hertz / RATE
        expected = 0.5 * np.sin(turn * positions)
        assert level_db(recorded - expected, expected) < -90
        slope = 0.5 * turn * np.cos(turn * positions)
        off_frames = ((recorded - expected) * slope).sum() / (slope**2).sum()
        assert abs(off_frames) < 0.01
    assert level_db(without_sine(calm[:4096].astype("f8"), hertz), calm) < -90


@pytest.mark.parametrize("side", [0, 1])
def test_a_burst_moves_nothing(side):
    clocks = [VirtualClock(100, 512, 1e-3), VirtualClock(0, 512, 1e-3)]
    clocks[side] = VirtualClock(clocks[side].ppm, 512, 1e-3, stall=(70.0, 70.3))
    result = run(*clocks, 100, delay=24000)
    assert result.ripple_ppm[SETTLED:].max() <= 5
    assert result.error_frames[15:].max() <= 256
    assert (result.counters.splices, result.counters.missing_frames) == (0, 0)


@pytest.mark.parametrize("side", [0, 1])
def test_a_device_that_lost_sound_gets_its_delay_back_by_one_splice(side):
    clocks = [VirtualClock(100, 512, 1e-3), VirtualClock(0, 512, 1e-3)]
    stall = (50.0, 50.3)
    clocks[side] = VirtualClock(clocks[side].ppm, 512, 1e-3, stall, loses=True)
    result = run(*clocks, 100, delay=24000)
    assert result.counters.splices == 1
    assert result.error_frames[53:].max() <= 256
    assert result.ripple_ppm[80:].max() <= 5


@pytest.mark.parametrize("delay", [300, 1800])
def test_an_input_that_lost_a_little_sound_does_not_leave_a_short_delay_ahead(delay):
    incoming = VirtualClock(100, 64, 1e-3, (50.0, 50.03), loses=True)
    result = run(incoming, VirtualClock(0, 64, 1e-3), 100, delay=delay)
    assert result.counters.splices == 1
    assert result.error_frames[54:].max() <= 128
    assert result.ripple_ppm[80:].max() <= 5


def test_an_output_that_lost_a_little_sound_glides_since_it_has_all_to_play():
    outgoing = VirtualClock(0, 64, 1e-3, (50.0, 50.03), loses=True)
    result = run(VirtualClock(100, 64, 1e-3), outgoing, 54, delay=1800)
    assert result.counters.splices == 0
    assert result.counters.dry_missing_frames == 0


@pytest.mark.parametrize("side", [0, 1])
def test_a_device_may_come_late(side):
    clocks = [VirtualClock(100, 512, 1e-3), VirtualClock(0, 512, 1e-3)]
    clocks[side] = VirtualClock(clocks[side].ppm, 512, 1e-3, (0.0, 3.0), loses=True)
    result = run(*clocks, 60, capacity=1 << 18)
    assert result.error_frames[4:].max() <= 256
    assert (result.counters.splices, result.counters.dry_missing_frames) == (0, 0)


def test_stems_and_mix_stay_together_through_the_c_callbacks():
    """Stems equal to the mix, taken from it: nothing is left, whatever the clocks do."""
    delay, block = 2400, 256
    playback = PlaybackPort(1, 2, RATE, delay, capacity_frames=1 << 15, drift=True)
    cells = {"stem0_l": [-1, 0], "stem0_r": [0, -1], "mix_l": [1, 1], "mix_r": [0, 1]}
    playback.set_gains(*gains_of(playback, **cells))
    capture = CapturePort(2, RATE, [playback], capacity_frames=1 << 15)
    on_virtual_time(capture, playback)
    draw, played = np.random.default_rng(3), []
    samples = noise(600 * block)
    for number in range(600):
        recorded = samples[number * block : (number + 1) * block]
        late = draw.uniform(0, 1e-3, 2)
        call(capture, recorded=recorded, now=1 + number * block / RATE + late[0])
        playback.stem_ring.write(np.concatenate([recorded, np.ones((block, 1), "f4")], axis=1))
        now = 1 + number * block / RATE * 1.0003 + late[1]
        played.append(play(playback, block, now=now))
    left = np.concatenate(played)[:, 0]
    right = np.concatenate(played)[:, 1]  # mix L + mix R - stem R: mix L remains
    assert np.abs(left).max() < 1e-6
    assert np.abs(right[20 * block :]).max() > 0.1
    counters = playback.counters()
    assert (counters.shortfalls, counters.missing_frames, counters.dry_missing_frames) == (0, 0, 0)
    assert abs(counters.position + delay - counters.played_frames) < 256


def test_an_output_that_was_away_finds_its_place_by_the_clocks():
    capture, playback = ports(delay=2400)
    block = np.full((256, 1), 0.5, "f4")
    for number in range(900):
        now = 1 + number * 256 / RATE
        call(capture, recorded=block, now=now)
        if 400 <= number < 500:  # away for 100 blocks
            playback.skip(256)
            assert abs(playback.counters().position - (256 * number - 2400)) < 512
        else:
            played = play(playback, 256, now=now)
    assert np.allclose(played, 0.5)
    assert abs(playback.counters().error_frames) < 1
    expected = 900 * 256 - 2400
    assert abs(playback.counters().position - expected) < 1


def test_a_jump_that_an_output_did_not_live_to_make_is_forgotten():
    capture, playback = ports(delay=24000)
    block, played = np.full((256, 1), 0.5, "f4"), []
    for number in range(900):
        now = 1 + number * 256 / RATE
        call(capture, recorded=block, now=now)
        if number == 400:
            playback._state["jump_frames"] = 36000  # it was to fade out first
        if 400 <= number < 500:
            playback.skip(256)
        else:
            played.append(play(playback, 256, now=now)[:, 0])
    assert playback.counters().splices == 0
    assert np.count_nonzero(np.concatenate(played)[400 * 256 :] == 0) < 16384


def test_an_input_that_was_away_is_silence_for_as_long():
    capture, playback = ports(delay=2400)
    block = np.full((256, 1), 0.5, "f4")
    played = []
    for number in range(900):
        now = 1 + number * 256 / RATE
        if number == 500:
            capture.skip(100 * 256)
        if not 400 <= number < 500:
            call(capture, recorded=block, now=now)
        played.append(play(playback, 256, now=now)[:, 0])
    assert capture.counters().away_frames == 100 * 256
    played = np.concatenate(played)
    silent = np.flatnonzero(played[20 * 256 :] == 0)
    assert abs(len(silent) - 100 * 256) < 64
    assert abs(playback.counters().error_frames) < 1
    assert playback.counters().splices == 0


def dll_after(times, block_frames=480):
    dll = np.zeros(1, DLL)
    start_dll(dll, RATE)
    for number, now in enumerate(times):
        dll_update(dll.ctypes.data, now, number * block_frames, block_frames)
    return dll[0]


def test_a_loop_finds_time_and_rate_in_the_jitter():
    draw = np.random.default_rng(4)
    true = 7 + np.arange(3000) * 0.01 * (1 + 250e-6)
    dll = dll_after(true + draw.normal(0, 1e-3, 3000))
    assert abs(dll["period"] - 1.00025) < 5e-6
    assert abs(dll["time"] - true[-1]) < 1e-4
    assert dll["frame"] == 2999 * 480


def test_a_loop_that_hears_blocks_in_bunches_takes_that_for_its_jitter():
    bunches = 7 + np.arange(3000) // 4 * 0.04
    dll = dll_after(bunches)
    assert abs(dll["period"] - 1) < 20e-6
    assert dll["blocks"] == 3000
    assert dll["age_seconds"] > 20


def test_a_loop_begins_anew_where_a_clock_was_set():
    times = 7 + np.arange(3000) * 0.01
    times[2000:] += 100.0
    dll = dll_after(times)
    assert abs(dll["time"] - times[-1]) < 1e-4
    assert abs(dll["period"] - 1) < 1e-6


def test_the_filter_leaves_frames_on_the_grid_as_they_are():
    table = filter_table()
    assert table.shape == (PHASES + 1, TAPS)
    assert np.allclose(table.sum(axis=1), 1, atol=1e-6)
    assert np.allclose(table[0], np.eye(TAPS)[HALF_TAPS - 1], atol=1e-7)
    assert np.allclose(table[-1], np.eye(TAPS)[HALF_TAPS], atol=1e-7)
    assert np.allclose(table, table[::-1, ::-1], atol=1e-7)
