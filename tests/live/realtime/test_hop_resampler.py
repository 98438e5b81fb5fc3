"""The filters between the devices' rate and the model's: what they let through, and where it is."""

from __future__ import annotations

import numpy as np
import pytest
from live.support.rates import converted
from support.doubles import noise

from streamer.live.realtime.hop_resampler import (
    can_convert,
    conversion,
    frames_ahead,
    frames_made,
    frames_needed,
    make,
    take,
)

MODEL = 44100
RATES = [48000, 88200, 96000, 192000, 32000, 44100]
BOTH_WAYS = [(rate, MODEL) for rate in RATES] + [(MODEL, rate) for rate in RATES]


def tone(hertz: float, rate: int, frames: int):
    return np.sin(2 * np.pi * hertz * np.arange(frames) / rate)[:, np.newaxis]


def decibels(signal) -> float:
    return 20 * np.log10(np.sqrt(2 * np.mean(np.square(signal))) + 1e-12)


@pytest.mark.parametrize(("from_rate", "to_rate"), BOTH_WAYS)
def test_a_tone_is_as_loud_as_it_was_and_not_moved_by_a_hundredth_of_a_frame(from_rate, to_rate):
    least = 95 if min(from_rate, to_rate) >= MODEL else 70
    for hertz in (50, 5000, 20000 * min(from_rate, to_rate, MODEL) / MODEL):
        made = converted(tone(hertz, from_rate, from_rate // 2), from_rate, to_rate)
        off = made - tone(hertz, to_rate, len(made))
        assert decibels(off[to_rate // 10 :]) < -least


@pytest.mark.parametrize(("rate", "hertz"), [(48000, 23990), (96000, 24200), (192000, 70000)])
def test_what_would_fold_into_the_music_is_100_db_down(rate, hertz):
    made = converted(tone(hertz, rate, rate // 2), rate, MODEL)[MODEL // 10 :]
    spectrum = np.abs(np.fft.rfft(made[:, 0] * np.hanning(len(made)))) / (len(made) / 4)
    heard = np.fft.rfftfreq(len(made), 1 / MODEL) <= 20000
    assert 20 * np.log10(spectrum[heard].max()) < -100


@pytest.mark.parametrize(("from_rate", "to_rate"), BOTH_WAYS)
def test_any_split_makes_the_same_to_the_bit_and_what_plain_numpy_makes(from_rate, to_rate):
    signal = noise(5000)
    made = []
    for most in (1, 37, 1000):
        c = conversion(from_rate, to_rate, 2, most)
        out = np.zeros((frames_made(c, len(signal)), 2), "f4")
        end = done = 0
        for at in range(0, len(signal), most):
            fresh = signal[at : at + most]
            take(c, fresh, len(fresh))
            end += len(fresh)
            ready = frames_made(c, end)
            make(c, end, done, out[done:], ready - done)
            done = ready
        made.append(out)
    assert np.array_equal(made[0], made[1])
    assert np.array_equal(made[0], made[2])
    np.testing.assert_allclose(made[0], converted(signal, from_rate, to_rate), atol=1e-6)


@pytest.mark.parametrize(("from_rate", "to_rate"), BOTH_WAYS)
def test_it_takes_no_frame_more_than_are_needed(from_rate, to_rate):
    c = conversion(from_rate, to_rate, 1, 1)
    assert frames_made(c, 0) == frames_needed(c, 0) == 0
    for frames in range(1, 1500):
        needed = frames_needed(c, frames)
        assert frames_made(c, needed - 1) < frames <= frames_made(c, needed)


@pytest.mark.parametrize("rate", RATES)
def test_there_and_back_take_less_than_2_ms(rate):
    ahead = frames_ahead(rate, MODEL) / rate + frames_ahead(MODEL, rate) / MODEL
    assert ahead + 2 / rate < 0.002


def test_rates_that_are_no_ratio_of_small_numbers_or_too_low_are_not_for_it():
    assert all(can_convert(rate, MODEL) for rate in RATES)
    assert not any(can_convert(rate, MODEL) for rate in (44101, 8000, 22050))
