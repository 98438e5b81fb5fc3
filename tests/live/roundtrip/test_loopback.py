"""Finding a delay: to the frame and between frames, through all that a cable does to sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.errors import DeviceError
from streamer.live.roundtrip.loopback import burst_train, find_delay

RATE = 24000
TRAIN = burst_train(RATE)


def recording(delay_frames, *, gain=1.0, tail_frames=6000, played=TRAIN):
    """What a perfect cable gives back, (frames,)."""
    silence = np.zeros(delay_frames, np.float32)
    return np.concatenate([silence, np.float32(gain) * played, np.zeros(tail_frames, np.float32)])


def delayed(frames, response=1.0):
    """The recording of a delay between frames, with a response over frequency, by FFT."""
    padded = recording(0)
    cycles = np.fft.rfftfreq(len(padded))
    spectrum = np.fft.rfft(padded) * np.exp(-2j * np.pi * cycles * frames)
    if callable(response):
        spectrum *= response(cycles * RATE)
    return np.fft.irfft(spectrum, len(padded)).astype(np.float32)


def noise(frames, rms, seed=0):
    return (np.random.default_rng(seed).standard_normal(frames) * rms).astype(np.float32)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 15000), st.sampled_from([1.0, -1.0, 0.01, -0.3, 3.0]))
def test_to_the_frame_whatever_gain_and_polarity(frames, gain):
    delay = find_delay(TRAIN, recording(frames, gain=gain), RATE)
    assert delay.frames == frames
    assert delay.exact_frames == pytest.approx(frames, abs=0.001)
    assert delay.confidence == 1
    assert delay.spread_frames < 0.01
    assert delay.gain == pytest.approx(gain, rel=0.001)
    assert delay.inverted is (gain < 0)


@pytest.mark.parametrize("frames", [100.25, 1234.5, 4321.01, 10000.9])
def test_between_frames(frames):
    delay = find_delay(TRAIN, delayed(frames), RATE)
    assert delay.exact_frames == pytest.approx(frames, abs=0.005)
    assert delay.frames == round(delay.exact_frames)


@pytest.mark.parametrize("snr_db", [0, -10, -15])
def test_in_noise(snr_db):
    clean = recording(7777)
    rms = TRAIN.std() * 10 ** (-snr_db / 20)
    delay = find_delay(TRAIN, clean + noise(len(clean), rms), RATE)
    assert delay.frames == 7777
    assert delay.confidence > 0.8


def test_in_hum_and_offset_far_louder_than_the_signal():
    clean = recording(3000, gain=0.02)
    hum = 0.6 * np.sin(2 * np.pi * 50 * np.arange(len(clean)) / RATE) + 0.2
    assert find_delay(TRAIN, (clean + hum).astype(np.float32), RATE).frames == 3000


@pytest.mark.parametrize(("low_hz", "high_hz"), [(300, 3400), (0, 1000), (2000, 12000), (20, 8000)])
def test_band_limited(low_hz, high_hz):
    def response(hz):
        return (hz >= low_hz) & (hz <= high_hz)

    delay = find_delay(TRAIN, delayed(2500.5, response), RATE)
    assert delay.exact_frames == pytest.approx(2500.5, abs=0.1)
    assert delay.confidence > 0.9


def test_an_echo_and_a_clipping_input():
    loud = recording(6000, gain=6.0)
    loud[2400:] += 0.7 * loud[:-2400]
    delay = find_delay(TRAIN, np.clip(loud, -1, 1), RATE)
    assert delay.frames == 6000


@pytest.mark.parametrize("lost", [(0.0, 0.5), (0.3, 0.7), (0.4, 1.0)])
def test_half_of_it_lost(lost):
    received = recording(5000)
    begin, end = (5000 + int(part * len(TRAIN)) for part in lost)
    received[begin:end] = 0
    delay = find_delay(TRAIN, received, RATE)
    assert delay.frames == 5000
    assert 0.3 < delay.confidence < 0.9


def test_many_short_dropouts():
    received = recording(5000)
    for begin in range(0, len(received), 4000):
        received[begin : begin + 1024] = 0
    delay = find_delay(TRAIN, received, RATE)
    assert delay.frames == 5000
    assert delay.confidence > 0.8


def test_where_the_delay_jumps_the_longer_part_counts():
    received = recording(5000)
    at = 5000 + int(0.7 * len(TRAIN))
    delay = find_delay(TRAIN, np.delete(received, slice(at, at + 512)), RATE)
    assert delay.frames == 5000
    assert 0.5 < delay.confidence < 0.9
    assert delay.spread_frames < 1


@pytest.mark.parametrize("ppm", [-300, 40, 300])
def test_two_clocks_show_as_spread(ppm):
    received = recording(5000)
    places = np.arange(len(received)) * (1 + ppm / 1e6)
    drifting = np.interp(places, np.arange(len(received)), received).astype(np.float32)
    delay = find_delay(TRAIN, drifting, RATE)
    drift_frames = len(TRAIN) * abs(ppm) / 1e6
    assert delay.confidence > 0.9
    assert delay.spread_frames == pytest.approx(drift_frames, rel=0.15)
    assert abs(delay.frames - 5000 * (1 - ppm / 1e6)) <= drift_frames


def test_a_recording_that_ends_too_early_loses_the_last_pieces_only():
    whole = recording(9000)
    delay = find_delay(TRAIN, whole[: 9000 + len(TRAIN) // 2], RATE)
    assert delay.frames == 9000
    assert 0.3 < delay.confidence < 0.8
    with pytest.raises(DeviceError, match="record for longer"):
        find_delay(TRAIN, whole[:9500], RATE)


@pytest.mark.parametrize("rate", [8000, 48000, 96000])
def test_other_rates(rate):
    train = burst_train(rate)
    assert find_delay(train, recording(rate // 7, played=train), rate).frames == rate // 7


def test_a_long_signal_without_pauses():
    played = noise(6 * RATE, 0.1, seed=3)
    assert find_delay(played, recording(1111, played=played), RATE).frames == 1111


@pytest.mark.parametrize(
    "received",
    [np.zeros(0, "f4"), np.zeros(RATE, "f4"), noise(RATE, 1e-6), np.full(RATE, np.nan, "f4")],
)
def test_silence_is_an_error_that_says_what_to_connect(received):
    with pytest.raises(DeviceError, match=r"nothing came back in .* cable"):
        find_delay(TRAIN, received, RATE)


@pytest.mark.parametrize(
    "received",
    [
        *(noise(3 * RATE, 0.1, seed=seed) for seed in range(5)),
        np.sin(np.arange(3 * RATE) / 10).astype("f4"),
        np.full(3 * RATE, 0.5, "f4"),
        recording(5000, played=burst_train(RATE, seed=9)),
        np.repeat(np.eye(1, RATE, 100, dtype="f4"), 3, axis=0).ravel(),
    ],
)
def test_other_sound_is_an_error_that_says_so(received):
    with pytest.raises(DeviceError, match="the test signal was not found"):
        find_delay(TRAIN, received, RATE)


def test_rubbish_in_some_samples_does_no_harm():
    received = recording(5000)
    received[::5000] = np.nan
    received[7::9000] = np.inf
    assert find_delay(TRAIN, received, RATE).frames == 5000


def test_the_train_is_the_same_each_time_and_fit_to_be_played():
    assert np.array_equal(TRAIN, burst_train(RATE))
    assert TRAIN.dtype == np.float32
    assert np.abs(TRAIN).max() <= 0.25
    assert TRAIN[0] == TRAIN[-1] == 0
    assert 2 < len(TRAIN) / RATE < 4
    quiet = np.abs(TRAIN).reshape(-1)[: len(TRAIN) // 480 * 480].reshape(-1, 480).max(1) == 0
    assert 0.4 < quiet.mean() < 0.7
