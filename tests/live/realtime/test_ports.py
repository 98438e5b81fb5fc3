"""What the callbacks do with rings, gains, fades, meters and counters, on virtual blocks."""

import resource
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live.support.blocks import VIRTUAL, call, gains_of, play
from support.doubles import noise

from streamer.errors import SettingsError
from streamer.live.realtime.callbacks import FADE_FRAMES, INPUT_OVERFLOW, OUTPUT_UNDERFLOW
from streamer.live.realtime.port import LOG_RECORDS
from streamer.live.realtime.ports import CapturePort, DuplexPort, PlaybackPort

RATE = 48000
RAMP_FRAMES = 240


def stem_frames(frames, stems, wet=1.0, seed=5):
    """Noise for a stem ring, `(frames, 2 * stems + 1)`."""
    return np.concatenate([noise(frames, 2 * stems, seed), np.full((frames, 1), wet, "f4")], 1)


def port_with(stems=1, outputs=2, delay=600, capacity=16384, **cells):
    port = PlaybackPort(stems, outputs, RATE, delay, capacity_frames=capacity)
    port.set_gains(*gains_of(port, **cells))
    return port


def play_in_blocks(port, total, block_frames):
    starts = range(0, total, block_frames)
    return np.concatenate([play(port, min(block_frames, total - start)) for start in starts])


def stereo_sum(port_outputs=2):
    return {"stem0_l": [1, 0], "stem0_r": [0, 1], "dry_l": [1, 0], "dry_r": [0, 1]}


@settings(max_examples=25, deadline=None)
@given(blocks=st.lists(st.integers(0, 700), min_size=1, max_size=12), delay=st.integers(0, 900))
def test_a_duplex_stream_plays_what_it_recorded_delayed_to_the_frame(blocks, delay):
    playback = port_with(delay=delay, mix_l=[1, 0], mix_r=[0, 1])
    capture = CapturePort(2, RATE, [playback], capacity_frames=16384)
    port = DuplexPort(capture, playback)
    recorded = noise(sum(blocks))
    ends = np.cumsum(blocks)
    played = [
        call(port, recorded=recorded[end - block : end], channels=2)
        for end, block in zip(ends, blocks, strict=True)
    ]
    expected = np.concatenate([np.zeros((delay, 2), "f4"), recorded])[: len(recorded)]
    assert np.array_equal(np.concatenate(played), expected)
    counters = playback.counters()
    assert counters.position == len(recorded) - delay
    assert (counters.dry_missing_frames, counters.callbacks) == (0, len(blocks))
    read = np.empty_like(recorded)
    assert capture.ring.read(read) == len(recorded)
    assert np.array_equal(read, recorded)


def test_stems_mix_and_gains_add_up():
    port = PlaybackPort(2, 3, RATE, 100, capacity_frames=8192)
    gains = np.random.default_rng(1).uniform(-0.4, 0.4, (6, 3)).astype("f4")
    dry_gains = np.full((2, 3), 0.3, "f4")
    port.set_gains(gains, dry_gains)
    mix, stems = noise(3000), stem_frames(3000, 2)
    stems[:, 4] = np.clip(np.linspace(-1, 2, 3000), 0, 1)
    CapturePort(2, RATE, [port], capacity_frames=8192).feed(mix)
    port.stem_ring.write(stems)
    played = play_in_blocks(port, 2500, 333)[100:]
    sources = np.concatenate([stems[:, :4], mix], 1).astype("f8")
    expected = sources @ gains + (1 - stems[:, 4:]) * (mix @ dry_gains)
    assert np.abs(played - expected[:2400]).max() < 1e-6


def test_the_length_of_blocks_changes_nothing():
    played = []
    for block_frames in (64, 511, 2048, 4000):
        port = port_with(delay=100, mix_l=[0.2, 0.3], **stereo_sum())
        CapturePort(2, RATE, [port], capacity_frames=8192).feed(noise(5000))
        port.stem_ring.write(stem_frames(3000, 1))
        played.append(play_in_blocks(port, 4000, block_frames))
    assert all(np.array_equal(played[0], other) for other in played[1:])


def largest_step(samples):
    return np.abs(np.diff(samples, axis=0)).max()


def test_stems_that_run_out_fade_into_the_mix_and_back():
    port = port_with(stems=1, outputs=1, delay=400, stem0_l=[1], dry_l=[0.25])
    CapturePort(1, RATE, [port], capacity_frames=16384).feed(np.ones((9000, 1), "f4"))
    stems = np.full((9000, 3), 0.5, "f4")
    stems[:, 2] = 1.0
    port.stem_ring.write(stems[:2000])
    played = [play(port, 400), play(port, 3000)]
    port.stem_ring.write(stems[2000:6000])  # too late for frames 2000 to 2999
    played.append(play(port, 2000))
    played = np.concatenate(played)[400:, 0]
    assert np.all(played[: 2000 - FADE_FRAMES] == 0.5)
    assert np.allclose(played[2000:3000], 0.25)
    assert np.all(played[3000 + FADE_FRAMES :] == 0.5)
    assert largest_step(played) <= 0.25 / FADE_FRAMES + 1e-6
    counters = port.counters()
    assert (counters.shortfalls, counters.missing_frames) == (1, 1000)
    assert port.stem_ring.start_frame == 5000


def test_a_gap_in_the_stems_is_told_by_the_wet_channel():
    port = port_with(stems=1, outputs=1, delay=0, stem0_l=[1], dry_l=[1])
    CapturePort(1, RATE, [port], capacity_frames=4096).feed(np.full((2000, 1), 0.5, "f4"))
    port.stem_ring.write(np.zeros((2000, 3), "f4"))
    assert np.all(play(port, 1500) == 0.5)
    assert port.counters().shortfalls == 0


def test_a_mix_that_runs_out_fades_too():
    port = port_with(stems=0, outputs=1, delay=600, mix_l=[1])
    CapturePort(1, RATE, [port], capacity_frames=4096).feed(np.full((2000, 1), 0.5, "f4"))
    played = play(port, 3000)[600:, 0]
    assert np.all(played[: 2000 - FADE_FRAMES] == 0.5)
    assert not played[2000:].any()
    assert largest_step(played) <= 0.5 / FADE_FRAMES + 1e-6
    assert port.counters().dry_missing_frames == 400


@pytest.mark.parametrize("block_frames", [32, 512])
def test_a_gain_acts_in_the_next_block_and_ramps(block_frames):
    port = port_with(stems=1, outputs=1, delay=0, stem0_l=[1])
    port.stem_ring.write(np.full((16000, 3), 0.5, "f4"))
    before = play(port, block_frames)
    assert np.all(before == 0.5)
    port.set_gains(*gains_of(port))
    after = play_in_blocks(port, 2048, block_frames)
    assert after[0] < 0.5
    assert not after[RAMP_FRAMES:].any()
    assert largest_step(np.concatenate([before, after])) <= 0.5 / RAMP_FRAMES + 1e-6
    port.set_gains(*gains_of(port, stem0_l=[1.5]))
    louder = play_in_blocks(port, 2048, block_frames)
    assert largest_step(np.concatenate([after, louder])) <= 0.5 / RAMP_FRAMES + 1e-6
    assert louder[-1] == 0.75


def test_meters_see_stems_before_and_outputs_after_the_gains():
    port = port_with(stems=2, outputs=1, delay=0, stem1_l=[0.5])
    stems = stem_frames(3000, 2)
    port.stem_ring.write(stems)
    played = play_in_blocks(port, 2000, 300)
    levels = port.meters()
    assert levels.frames == 2000
    heard = stems[:2000, :4].reshape(2000, 2, 2)
    assert np.allclose(levels.stem_peaks, np.abs(heard).max(axis=(0, 2)))
    assert np.allclose(levels.stem_mean_squares, (heard**2).mean(axis=(0, 2)), rtol=1e-4)
    assert np.allclose(levels.output_peaks, np.abs(played).max(axis=0))
    assert np.allclose(levels.output_mean_squares, (played**2).mean(axis=0), rtol=1e-4)
    assert port.meters().frames == 0


def test_the_log_has_a_record_a_block():
    port = port_with(delay=100)
    port.use_clock(VIRTUAL)
    play(port, 64, now=5.0)
    play(port, 32, now=6.0)
    log = port.log()
    assert log["frame"].tolist() == [0, 64]
    assert log["called_seconds"].tolist() == [5.0, 6.0]
    assert np.allclose(log["converter_seconds"], 0.01)
    assert log["position"].tolist() == [-100, -36]
    assert (log["duration_seconds"] >= 0).all()
    assert len(port.log()) == 0
    for _ in range(LOG_RECORDS + 10):
        play(port, 1)
    assert len(port.log()) == LOG_RECORDS


@pytest.mark.parametrize("epoch", [0.02, 5.0, 1.8e9])
def test_blocks_are_timed_by_the_runs_clock_whatever_their_stream_counts_from(epoch):
    playback, before = port_with(), time.monotonic()
    capture = CapturePort(2, RATE, [playback], capacity_frames=4096)
    call(capture, recorded=noise(64), now=epoch)
    play(playback, 64, now=epoch)
    for port in (capture, playback):
        (note,) = port.log()
        assert before <= note["called_seconds"] <= time.monotonic()
        assert note["converter_seconds"] == pytest.approx(0.01, abs=1e-6)


@pytest.mark.parametrize("times", [(0.0, 0.0, 0.0), (0.02, 1.8e9, 0.02), (9.0, 8.0, 7.0)])
def test_a_time_that_cannot_be_of_a_converter_is_none(times):
    playback = port_with()
    capture = CapturePort(2, RATE, [playback], capacity_frames=4096)
    call(capture, recorded=noise(64), times=times)
    play(playback, 64, times=times)
    for port in (capture, playback):
        assert np.isnan(port.log()["converter_seconds"]).all()


def test_device_flags_are_counted():
    port = port_with()
    capture = CapturePort(2, RATE, [port], capacity_frames=4096)
    call(capture, recorded=noise(64), flags=INPUT_OVERFLOW)
    play(port, 64, flags=OUTPUT_UNDERFLOW)
    play(port, 64)
    assert capture.counters().overflow_flags == 1
    assert port.counters().underflow_flags == 1


def test_channels_come_to_two():
    recorded = noise(100, 4)
    gains = np.array([[1, 0], [0, 0], [0.5, 0], [0, 1]], "f4")
    read = np.empty((100, 2), "f4")
    for channels, given_gains, expected in (
        (1, None, recorded[:, [0, 0]]),
        (4, None, recorded[:, :2]),
        (4, gains, recorded @ gains),
    ):
        port = CapturePort(channels, RATE, [], capacity_frames=100, channel_gains=given_gains)
        call(port, recorded=recorded[:, :channels])
        port.ring.read(read)
        assert np.allclose(read, expected, atol=1e-7)


def test_frames_without_room_are_counted_and_positions_stay_true():
    port = port_with(stems=0, outputs=1, delay=0, capacity=100000, mix_l=[1])
    capture = CapturePort(1, RATE, [port], capacity_frames=1000)
    recorded = noise(3000, 1)
    read = np.empty((1000, 2), "f4")
    call(capture, recorded=recorded[:1500])
    assert capture.counters().lost_frames == 500
    assert capture.ring.read(read) == 1000
    call(capture, recorded=recorded[1500:1900])  # 500 frames of silence go first
    assert capture.ring.read(read) == 900
    assert not read[:500].any()
    assert np.array_equal(read[500:900, 0], recorded[1500:1900, 0])
    assert capture.ring.end_frame == 1900
    assert np.array_equal(play(port, 1500), recorded[:1500])  # the dry ring lost nothing


def test_a_device_loss_is_silence_of_that_length_and_what_follows_fades_in():
    port = port_with(stems=0, outputs=1, delay=0, mix_l=[1])
    capture = CapturePort(1, RATE, [port], capacity_frames=16384)
    recorded = noise(2000, 1)
    call(capture, recorded=recorded[:1000])
    capture.skip(700)
    call(capture, recorded=recorded[1000:])
    recorded[1000 : 1000 + FADE_FRAMES, 0] *= np.arange(FADE_FRAMES, dtype="f4") / FADE_FRAMES
    expected = np.concatenate([recorded[:1000], np.zeros((700, 1), "f4"), recorded[1000:]])
    assert np.allclose(play(port, 2000), expected[:2000], atol=1e-7)
    counters = capture.counters()
    assert (counters.captured_frames, counters.away_frames) == (2700, 700)


def test_an_output_that_was_away_goes_on_in_place_and_fades_in():
    port = port_with(stems=0, outputs=1, delay=0, mix_l=[1])
    CapturePort(1, RATE, [port], capacity_frames=16384).feed(np.full((6000, 1), 0.5, "f4"))
    play(port, 1000)
    port.skip(1500)
    played = play(port, 1000)
    assert port.counters().position == 3500
    assert played[0] <= 0.5 / FADE_FRAMES
    assert largest_step(played) <= 0.5 / FADE_FRAMES + 1e-6
    assert np.all(played[FADE_FRAMES:] == 0.5)


def test_a_missing_input_buffer_is_silence():
    capture = CapturePort(1, RATE, [], capacity_frames=1000)
    call(capture, frames=300)
    assert capture.counters().captured_frames == 300
    assert capture.ring.end_frame == 300


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: PlaybackPort(2, 0, RATE, 0, capacity_frames=10), "outputs=0"),
        (lambda: PlaybackPort(2, 2, RATE, 10, capacity_frames=10), "delay_frames=10"),
        (lambda: PlaybackPort(2, 2, 0, 1, capacity_frames=10), "samplerate=0"),
        (lambda: CapturePort(0, RATE, [], capacity_frames=10), "input_channels=0"),
        (
            lambda: CapturePort(3, RATE, [], capacity_frames=9, channel_gains=np.eye(2)),
            "channel_gains",
        ),
        (lambda: CapturePort(3, RATE, [], capacity_frames=9).feed(noise(5)), "block must be"),
        (lambda: port_with().set_gains(np.eye(2), np.eye(2)), "gains must be 4 rows"),
        (lambda: port_with(stem0_l=[np.nan, 0]), "finite"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(make, word):
    with pytest.raises(SettingsError, match=word) as caught:
        make()
    assert "; try" in str(caught.value)


@pytest.mark.skipif(not hasattr(resource, "RUSAGE_THREAD"), reason="Linux counts them by thread")
@pytest.mark.parametrize(
    "make", [port_with, lambda: CapturePort(2, RATE, [], capacity_frames=1024)]
)
def test_the_memory_of_its_log_is_there_before_a_callback_writes(make):
    port = make()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    port._records["frame"] = 1
    assert resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before < 10
