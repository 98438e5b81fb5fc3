"""Devices whose streams count time from moments of their own, as those of two host APIs do."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from live.support.staging import card, delay_between, microphone, noise_source, running, speakers
from support.doubles import RATE, noise

EPOCH_SECONDS = 1_795_816_179.0
"""Where PortAudio's ALSA is by now; its JACK counts from the start of each stream."""


def test_two_outputs_of_a_file_are_announced_on_one_clock(tmp_path: Path) -> None:
    path = tmp_path / "in.wav"
    soundfile.write(path, noise(8 * RATE), RATE, subtype="FLOAT")
    outputs = [
        speakers("one", stream_epoch_seconds=EPOCH_SECONDS),
        speakers("two", stream_epoch_seconds=EPOCH_SECONDS, ppm=100),
    ]
    with running(outputs, input=str(path), output=["one", "two"]) as run:
        first = run.session.delay_seconds
        run.advance(8)
        assert run.session.delay_seconds == pytest.approx(first, abs=1 / RATE)
        assert run.session.latency().delay.summary().max < first + 512 / RATE
        assert not [told for told in run.told if "the devices delay by" in told]


@pytest.mark.parametrize("epochs", [(0.0, EPOCH_SECONDS), (-0.2, 0.0)], ids=["mixed", "jack"])
def test_streams_of_two_epochs_keep_their_announced_delay(epochs: tuple[float, float]) -> None:
    """JACK in and ALSA out; and two streams of JACK, each of which counts from its own start."""
    signal = noise_source(seconds=14)
    mic = microphone(signal, ppm=150, stream_epoch_seconds=epochs[0], hostapi="JACK")
    output = speakers(ppm=-150, seed=1, stream_epoch_seconds=epochs[1], hostapi="ALSA")
    with running([mic, output], route=["drums=1,2"]) as run:
        run.advance(11)
        announced = run.session.delay_seconds
        log = run.session.latency()
    assert 0 < announced < 1
    assert log.delay.summary().max == pytest.approx(announced, abs=512 / RATE)
    for second in (3, 7, 10):
        assert abs(delay_between(mic, signal, output, second) - announced) < 128 / RATE


@pytest.mark.parametrize("blocksize", [64, 512])
def test_a_block_is_not_counted_twice_where_the_server_knows_its_latency(blocksize: int) -> None:
    """As JACK's through PortAudio: a period more each way in the times than in the latencies."""
    device = card(noise_source(seconds=9), uncounted_seconds=512 / RATE)
    with running([device], route=["drums=1,2"], blocksize=blocksize) as run:
        first = run.announced_frames
        run.advance(7)
        assert run.announced_frames == first
        delay = run.session.latency().delay.summary()
    assert delay.min == pytest.approx(first / RATE, rel=0.003)
    assert delay.max == pytest.approx(first / RATE, rel=0.003)
