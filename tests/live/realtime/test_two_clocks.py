"""Devices whose streams count time from moments of their own, as those of two host APIs do."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from live.support.staging import card, delay_between, microphone, noise_source, running, speakers
from support.doubles import RATE, noise

from streamer.testing.virtual_device import VirtualDevice

EPOCH_SECONDS = 1_795_816_179.0
"""Where PortAudio's ALSA is by now; its JACK counts from the start of each stream."""
BLOCK_FRAMES = 86
"""PulseAudio's 512 at 48 kHz."""


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


def filled_first(fill_blocks: int = 12) -> VirtualDevice:
    """As PulseAudio's: it takes 128 ms of sound at once, and later three blocks at a time."""
    return speakers(jitter_seconds=0.001, fill_blocks=fill_blocks, burst_blocks=3)


@pytest.mark.parametrize("fill_blocks", [8, 12])
def test_an_output_that_fills_itself_first_is_on_time_within_seconds(fill_blocks: int) -> None:
    signal = noise_source(seconds=14)
    mic, output = microphone(signal, jitter_seconds=0.001), filled_first(fill_blocks)
    with running([mic, output], route=["drums=1,2"], blocksize=BLOCK_FRAMES) as run:
        run.advance(13)
        announced = run.session.delay_seconds
        assert run.session.streams.ports["speakers"].counters().splices == 1
    for second in (4, 8, 12):
        assert abs(delay_between(mic, signal, output, second) - announced) < 0.003


def test_nothing_is_judged_too_slow_before_the_output_is_on_time() -> None:
    """It begins 20 ms early, and takes these from the model, which needs most of its budget."""
    mic, output = microphone(noise_source(seconds=14), jitter_seconds=0.001), filled_first()
    settings = {"route": ["drums=1,2"], "blocksize": BLOCK_FRAMES}
    with running([mic, output], compute=lambda _: 0.095, **settings) as run:
        run.advance(13)
        status = run.session.status()
    assert status.deadline_misses > 0
    assert status.rung_name == "as planned"
