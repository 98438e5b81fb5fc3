"""Fake devices: their clocks, their faults, and that nothing depends on anything else."""

from __future__ import annotations

import numpy as np
import pytest
from live.support.counting import Counter, ramp

from streamer.audio import Samples
from streamer.errors import DeviceError
from streamer.live.devices.device import find_device
from streamer.testing.virtual import INPUT_OVERFLOW, OUTPUT_UNDERFLOW, VirtualBackend
from streamer.testing.virtual_device import VirtualDevice

RATE = 48000


def numbers(start_frame: int, frames: int) -> Samples:
    """Two channels that tell the frame."""
    index = np.arange(start_frame, start_frame + frames, dtype=np.float32)
    return np.stack([index, -index], axis=1)


def microphone(**settings: object) -> VirtualDevice:
    return VirtualDevice("mic", input_channels=2, source=numbers, **settings)


def test_captures_the_source_and_keeps_what_is_played() -> None:
    mic, box = microphone(), VirtualDevice("box", output_channels=4)
    backend = VirtualBackend([mic, box])
    heard, played = Counter(2), Counter(outputs=4)
    first, second = backend.devices()
    backend.advance(0.1)
    for request in (heard.request(first), played.request(None, second)):
        backend.open(request).start()
    backend.advance(0.1)
    begun = 4800
    assert heard.frames == 4800 // 256 * 256
    assert np.array_equal(heard.captured, numbers(begun, heard.frames))
    assert np.array_equal(box.heard(begun, 4800), ramp(0, 4800, 4))
    assert not box.heard(0, begun).any()
    assert box.heard_frames == begun + played.frames
    assert backend.clock() == pytest.approx(0.2)


def test_a_duplex_stream_plays_just_after_what_it_captured() -> None:
    device = VirtualDevice(
        "card", input_channels=2, output_channels=2, source=numbers, converter_seconds=0.01
    )
    backend = VirtualBackend([device])
    counter = Counter(2, 2)
    (both,) = backend.devices()
    stream = backend.open(counter.request(both, both))
    stream.start()
    backend.advance(0.05)
    converter, block = 480, 256
    assert np.array_equal(counter.captured, numbers(-converter, counter.frames))
    assert np.array_equal(device.heard(block + converter, 2048), ramp(0, 2048, 2))
    adc, now, dac = counter.times[3]
    assert (adc, now, dac) == pytest.approx(
        ((3 * block - converter) / RATE, 4 * block / RATE, (4 * block + converter) / RATE)
    )
    assert dac - adc == pytest.approx(stream.input_latency_seconds + stream.output_latency_seconds)


@pytest.mark.parametrize("ppm", [-300.0, 300.0])
def test_a_clock_runs_fast_or_slow(ppm: float) -> None:
    mic = microphone(ppm=ppm)
    backend = VirtualBackend([mic])
    counter = Counter(2, capacity_frames=0)
    backend.open(counter.request(backend.devices()[0], blocksize=64)).start()
    backend.advance(20.0)
    assert counter.frames == pytest.approx(20 * RATE * (1 + ppm * 1e-6), abs=64)
    before = counter.frames
    mic.ppm = 0.0
    backend.advance(1.0)
    assert counter.frames - before == pytest.approx(RATE, abs=64)


def test_jitter_and_bursts_are_late_but_lose_nothing() -> None:
    mic = microphone(jitter_seconds=0.001, burst_blocks=4)
    backend = VirtualBackend([mic])
    counter = Counter(2)
    backend.open(counter.request(backend.devices()[0])).start()
    backend.advance(1.0)
    assert np.array_equal(counter.captured, numbers(0, counter.frames))
    now = counter.times[:, 1]
    due = (np.arange(counter.calls) // 4 * 4 + 4) * 256 / RATE
    late = now - due
    assert (np.diff(now) >= 0).all()
    assert (late >= -1e-9).all()
    assert 0.0005 < late.max() <= 0.001
    assert counter.flags == 0


def test_an_output_that_fills_itself_takes_blocks_at_once_and_is_ahead_by_them() -> None:
    box = VirtualDevice("box", output_channels=2, fill_blocks=5)
    backend = VirtualBackend([box])
    counter = Counter(outputs=2)
    stream = backend.open(counter.request(None, backend.devices()[0]))
    stream.start()
    backend.advance(1.0)
    now = counter.times[:, 1]
    assert now == pytest.approx(np.maximum(np.arange(counter.calls) - 4, 0) * 256 / RATE)
    assert stream.output_latency_seconds == pytest.approx(4 * 256 / RATE)
    assert np.array_equal(box.heard(0, 40000), ramp(0, 40000, 2))


@pytest.mark.parametrize("loses", [True, False])
def test_a_pause(loses: bool) -> None:
    card = VirtualDevice("card", input_channels=2, output_channels=2, source=numbers)
    backend = VirtualBackend([card])
    counter = Counter(2, 2)
    (both,) = backend.devices()
    stream = backend.open(counter.request(both, both))
    stream.start()
    backend.at(0.2, lambda: card.pause(0.1, loses=loses))
    backend.advance(0.29)
    assert stream.active
    assert counter.frames == 9472  # up to 0.2 s
    backend.advance(0.21)
    index = counter.captured[:, 0]
    if loses:
        assert index[9471] == 9471
        assert index[9472] == 14336  # of the block that is whole first after 0.3 s
        assert counter.flags == INPUT_OVERFLOW | OUTPUT_UNDERFLOW
        assert not card.heard(9728, 14592 - 9728).any()
        assert card.heard(14592, 1).all()
    else:
        assert np.array_equal(index, np.arange(counter.frames))
        assert counter.flags == 0


def test_silence_without_an_error_until_it_resumes() -> None:
    mic = microphone()
    backend = VirtualBackend([mic])
    counter = Counter(2, capacity_frames=0)
    stream = backend.open(counter.request(backend.devices()[0]))
    stream.start()
    mic.pause()
    backend.advance(5.0)
    assert stream.active
    assert counter.calls == 0
    mic.resume()
    backend.advance(1.0)
    assert counter.calls == 188


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("reopens", [True, False])
def test_unplugged_and_plugged_in_again(told: bool, reopens: bool) -> None:
    mic, other = microphone(), VirtualDevice("other", input_channels=2, output_channels=2)
    backend = VirtualBackend([mic, other], reopens=reopens)
    counter = Counter(2, capacity_frames=0)
    listed = find_device(backend.devices(), "mic", "input")
    stream = backend.open(counter.request(listed))
    stream.start()
    backend.at(1.0, lambda: mic.unplug(told=told))
    backend.advance(2.0)
    assert counter.frames == 47872
    assert stream.active is not told
    assert not backend.refresh()  # a stream is open
    stream.close()
    assert listed in backend.devices()  # the list is frozen
    with pytest.raises(DeviceError, match="'mic' is gone; plug it in"):
        backend.open(counter.request(listed))
    mic.replug()
    if reopens:
        backend.open(counter.request(listed)).close()
    else:
        with pytest.raises(DeviceError, match="gone"):
            backend.open(counter.request(listed))
    assert backend.refresh()
    again = find_device(backend.devices(), "mic", "input")
    assert again.index != listed.index
    backend.open(counter.request(again)).start()
    backend.advance(1.0)
    assert counter.frames == 2 * 47872


def test_a_server_that_restarts_takes_all_streams_with_it() -> None:
    mic, usb = microphone(), VirtualDevice("usb", output_channels=2, hostapi="Other")
    backend = VirtualBackend([mic, usb])
    ended, going = Counter(2, capacity_frames=0), Counter(outputs=2)
    streams = [
        backend.open(ended.request(backend.devices()[0])),
        backend.open(going.request(None, backend.devices()[1])),
    ]
    for stream in streams:
        stream.start()
    backend.at(0.5, lambda: backend.restart_server(2.0))
    backend.advance(1.0)
    assert [stream.active for stream in streams] == [False, True]
    assert ended.frames < going.frames
    for stream in streams:
        stream.close()
    assert backend.refresh()
    assert [device.name for device in backend.devices()] == ["usb"]
    backend.advance(2.0)
    backend.refresh()
    assert [device.name for device in backend.devices()] == ["usb", "mic"]


def test_a_rate_that_changes_ends_the_stream_and_refuses_the_old_one() -> None:
    mic = microphone()
    backend = VirtualBackend([mic], reopens=True)
    counter = Counter(2, capacity_frames=0)
    listed = backend.devices()[0]
    stream = backend.open(counter.request(listed))
    stream.start()
    mic.change_rate(44100)
    backend.advance(1.0)
    assert not stream.active
    stream.close()
    backend.refresh()
    with pytest.raises(DeviceError, match=r"samplerate=48000 must be a rate .* try 44100"):
        backend.open(counter.request(backend.devices()[0]))
    backend.open(counter.request(backend.devices()[0], samplerate=44100)).start()
    backend.advance(1.0)
    assert counter.frames == 44032


def test_refuses_a_busy_device_a_pair_and_too_many_channels() -> None:
    mic, box = microphone(), VirtualDevice("box", output_channels=2)
    backend = VirtualBackend([mic, box])
    first, second = backend.devices()
    mic.busy = True
    with pytest.raises(DeviceError, match="'mic' is busy; close the program"):
        backend.open(Counter(2).request(first))
    mic.busy = False
    with pytest.raises(DeviceError, match="do not open as one stream"):
        backend.open(Counter(2, 2).request(first, second))
    with pytest.raises(DeviceError, match="'box' has 2 output channels, 4 are wanted"):
        backend.open(Counter(outputs=4).request(None, second))
    backend.open(Counter(2).request(first)).start()


def test_a_callback_that_returns_complete_ends_its_stream() -> None:
    backend = VirtualBackend([microphone()])
    counter = Counter(2)
    stream = backend.open(counter.request(backend.devices()[0]))
    stream.start()
    counter.state[3] = 1
    backend.advance(1.0)
    assert counter.calls == 1
    assert not stream.active


def test_a_hook_runs_at_each_multiple_of_its_period_after_that_times_callbacks() -> None:
    backend = VirtualBackend([microphone()])
    counter = Counter(2, capacity_frames=0)
    backend.open(counter.request(backend.devices()[0], blocksize=480)).start()
    seen: list[tuple[float, int]] = []
    for _ in range(11):
        backend.advance(0.005, every=(0.01, lambda: seen.append((backend.clock(), counter.calls))))
    assert [seconds for seconds, _ in seen] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
    assert [calls for _, calls in seen] == [1, 2, 3, 4, 5]


def test_a_cable_brings_back_what_was_played() -> None:
    box = VirtualDevice("box", output_channels=2, converter_seconds=0.002)
    line = VirtualDevice("line", input_channels=2, source=box.heard, converter_seconds=0.003)
    backend = VirtualBackend([box, line])
    played, heard = Counter(outputs=2), Counter(2)
    out = backend.open(played.request(None, backend.devices()[0], blocksize=128))
    back = backend.open(heard.request(backend.devices()[1], blocksize=512))
    out.start()
    back.start()
    backend.advance(1.0)
    delay = round((0.002 + 0.003) * RATE)
    assert not heard.captured[:delay].any()
    assert np.array_equal(heard.captured[delay:], ramp(0, heard.frames - delay, 2))


def test_the_same_calls_give_the_same_times() -> None:
    def run(step_seconds: float) -> np.ndarray:
        devices = [microphone(jitter_seconds=0.002, ppm=50, seed=7)]
        backend = VirtualBackend(devices)
        counter = Counter(2)
        backend.open(counter.request(backend.devices()[0], blocksize=0)).start()
        backend.at(0.3, lambda: devices[0].pause(0.05))
        while backend.clock() < 1.0:
            backend.advance(step_seconds)
        return counter.times[:150]

    assert np.array_equal(run(0.5), run(0.001))


def test_a_device_is_forgetful_when_told() -> None:
    box = VirtualDevice("box", output_channels=2)
    backend = VirtualBackend([box])
    counter = Counter(outputs=2)
    backend.open(counter.request(None, backend.devices()[0])).start()
    backend.advance(0.1)
    box.forget()
    assert not box.heard(0, 4800).any()
    assert box.heard_frames == 0
