"""The waveforms and the clip latch of a live run."""

from __future__ import annotations

import numpy as np
import pytest
from live.support.staging import Scaled, begun, card, one, running
from support.doubles import RATE

from streamer.live.status import WAVE_RATE, Waves
from streamer.live.telemetry.waves import KEPT_SECONDS, WaveLog


@pytest.mark.parametrize("block", [64, 441, 1000])
def test_a_stretch_has_the_peak_of_what_was_played_in_it_however_it_is_looked_at(block) -> None:
    rate, stretch = 8000, 8000 // WAVE_RATE
    sound = np.abs(np.random.default_rng(1).standard_normal((2, 20 * stretch))).astype("f4")
    blocks = [sound[:, at : at + block] for at in range(0, sound.shape[1], block)]
    frames = np.array([piece.shape[1] for piece in blocks], "f4")
    peaks = np.stack([piece.max(1) for piece in blocks], axis=1)
    at_once, in_turn = WaveLog(["a", "b"], rate), WaveLog(["a", "b"], rate)
    at_once.feed(frames, peaks)
    for begin in range(0, len(frames), 3):
        in_turn.feed(frames[begin : begin + 3], peaks[:, begin : begin + 3])
    assert at_once.waves == in_turn.waves
    waves = at_once.waves
    assert (waves.first, waves.end) == (0, 20)
    for number, told in enumerate(waves.peaks["b"]):
        begin, end = number * stretch, (number + 1) * stretch
        within = sound[1, begin:end].max()
        around = sound[1, max(0, begin - block) : end + block].max()
        assert within <= told <= around


def test_only_the_last_seconds_are_kept_and_each_peak_is_told_once() -> None:
    log = WaveLog(["a"], 8000)
    told: list[float] = []
    number = 0
    for index in range(3 * KEPT_SECONDS * WAVE_RATE):
        log.feed(np.array([400], "f4"), np.array([[index]], "f4"))
        if index % 7 == 0:
            news = log.waves.since(number)
            assert news.first == number
            told += news.peaks["a"]
            number = news.end
    assert told == list(range(len(told)))
    assert len(log.waves.peaks["a"]) == KEPT_SECONDS * WAVE_RATE
    assert log.waves.since(number + 99).peaks == {"a": ()}
    assert Waves().end == 0


def test_a_late_entry_is_seen_where_it_is_heard_and_too_loud_an_output_latches() -> None:
    entry = 3 * RATE
    signal = np.zeros((5 * RATE, 2), "f4")
    signal[entry:] = 0.9
    device = card(signal)
    routes = ["drums=1,2", "drums=3"]
    with running([device], lambda _: one(Scaled()), route=routes, blocksize=64) as run:
        run.advance(4.5)
        quiet = run.session.status()
        run.session.mixer.set_gain("drums", 6)
        run.advance(0.2)
        run.session.mixer.set_gain("drums", -20)
        run.advance(0.2)
        loud = run.session.status()
        run.advance(0.1)
        later = run.session.status()
    heard = (entry - begun() + run.announced_frames) / RATE
    drums = np.array(quiet.waves.peaks["drums"])
    first = quiet.waves.first + int(np.flatnonzero(drums)[0])
    assert first / WAVE_RATE == pytest.approx(heard, abs=2 / WAVE_RATE)
    vocals = np.array(quiet.waves.peaks["vocals"])
    np.testing.assert_allclose(vocals[-10:], drums[-10:] / 8, rtol=1e-4)
    assert quiet.clips["card"] == (0,) * 8
    assert loud.clips["card"][0] > 0
    assert loud.clips["card"][4:] == (0,) * 4
    assert later.clips == loud.clips
