"""The watchdog against fake devices and by itself; when and by what a device is found again."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from live.support.counting import Counter

from streamer.live.devices.device import Device
from streamer.live.devices.watchdog import Liveness, Reconnect, Watchdog
from streamer.testing.virtual import VirtualBackend
from streamer.testing.virtual_device import VirtualDevice

RATE = 48000
POLL_SECONDS = 0.01


def watch(
    fault: Callable[[VirtualBackend], None], seconds: float, blocksize: int = 256, **device: float
) -> tuple[list[tuple[float, Liveness]], float]:
    """The verdicts as they change, with their times, and when the last callback was."""
    fake = VirtualDevice("mic", input_channels=2, **device)
    backend = VirtualBackend([fake])
    counter = Counter(2, capacity_frames=1 << 19)
    stream = backend.open(counter.request(backend.devices()[0], blocksize=blocksize))
    dog = Watchdog(blocksize / RATE)
    changes: list[tuple[float, Liveness]] = []

    def look() -> None:
        verdict = dog.feed(backend.clock(), counter.calls, stream.active)
        if not changes or changes[-1][1] is not verdict:
            changes.append((backend.clock(), verdict))

    stream.start()
    backend.at(1.0, lambda: fault(backend))
    backend.advance(seconds, every=(POLL_SECONDS, look))
    return changes, float(counter.times[-1, 1]) if counter.calls else 0.0


@pytest.mark.parametrize(("blocksize", "limit_seconds"), [(64, 1.0), (2048, 1.0), (24000, 2.0)])
@pytest.mark.parametrize(
    "fault",
    [lambda backend: backend.fakes[0].unplug(), lambda backend: backend.fakes[0].pause()],
    ids=["unplugged", "silent"],
)
def test_finds_a_stream_that_stops_without_a_word(
    fault: Callable[[VirtualBackend], None], blocksize: int, limit_seconds: float
) -> None:
    ((_, alive), (found, verdict)), last = watch(fault, 5.0, blocksize)
    assert (alive, verdict) == (Liveness.ALIVE, Liveness.SILENT)
    assert verdict.dead
    assert limit_seconds - POLL_SECONDS <= found - last <= limit_seconds + 2 * POLL_SECONDS


def test_finds_a_stream_that_says_it_ended_at_once() -> None:
    changes, _ = watch(lambda backend: backend.restart_server(1.0), 2.0)
    assert [verdict for _, verdict in changes] == [Liveness.ALIVE, Liveness.ENDED]
    assert changes[1][0] <= 1.0 + POLL_SECONDS


def test_lives_through_jitter_bursts_and_pauses_that_are_short_enough() -> None:
    changes, _ = watch(
        lambda backend: backend.fakes[0].pause(0.7), 5.0, 2048, jitter_seconds=0.02, burst_blocks=3
    )
    assert [verdict for _, verdict in changes] == [Liveness.ALIVE]


def test_the_first_callback_may_take_longer() -> None:
    dog = Watchdog(0.01)
    verdicts = [dog.feed(tenth / 10, 0, True) for tenth in range(35)]
    assert verdicts.index(Liveness.SILENT) == 30


def test_an_output_that_starts_with_seconds_of_silence_is_not_gone() -> None:
    """As PulseAudio's may: it fills its buffer at once, and plays that before it asks again."""
    dog = Watchdog(0.01)
    silent = [dog.feed(tenth / 10, 12 * (tenth > 1), True) for tenth in range(25)]
    assert set(silent) == {Liveness.ALIVE}
    running = [dog.feed(tenth / 10, 100 + tenth, True) for tenth in range(25, 40)]
    assert set(running) == {Liveness.ALIVE}
    # it runs steadily now, so that a second without a callback is a loss
    gone = [dog.feed(tenth / 10, 139, True) for tenth in range(40, 60)]
    assert gone.index(Liveness.SILENT) == 9


def test_bursts_with_long_pauses_between_do_not_end_the_grace() -> None:
    dog = Watchdog(0.01)
    verdicts = [dog.feed(tenth / 10, 12 * (tenth // 20), True) for tenth in range(100)]
    assert set(verdicts) == {Liveness.ALIVE}


def test_time_that_nobody_looked_at_does_not_count() -> None:
    dog = Watchdog(0.01)
    for tenth in range(10):
        dog.feed(tenth / 10, tenth, True)
    assert dog.feed(3600.0, 9, True) is Liveness.ALIVE  # a laptop that slept
    assert dog.feed(3600.1, 10, True) is Liveness.ALIVE
    assert dog.silent_seconds == 0.0


def device(index: int, name: str, hostapi: str = "ALSA", inputs: int = 2) -> Device:
    return Device(index, name, hostapi, inputs, 2, RATE, 0.01, 0.01)


def test_tries_come_at_once_then_within_a_second_of_each_other() -> None:
    again = Reconnect(device(1, "mic"), "input", now_seconds=5.0)
    tries = []
    for hundredth in range(500, 1500):
        if again.due(hundredth / 100):
            tries.append(hundredth / 100)
            again.failed(hundredth / 100)
    waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert tries[0] == 5.0
    assert waits[:3] == pytest.approx([0.1, 0.2, 0.4])
    assert max(waits) <= 1.0
    assert len(tries) == 13


def test_finds_a_device_by_name_and_host_api_whatever_its_index() -> None:
    again = Reconnect(device(1, "mic"), "input", 0.0)
    others = [device(1, "other"), device(2, "mic", "JACK"), device(3, "mic 2")]
    assert again.find(others) is None
    assert again.find([*others, device(7, "mic")]) == device(7, "mic")
    assert again.find([device(7, "mic", inputs=0)]) is None


def test_a_card_that_got_another_number_is_the_same_unless_there_are_two_of_it() -> None:
    again = Reconnect(device(1, "USB Audio: - (hw:1,0)"), "input", 0.0)
    moved, twin = device(4, "USB Audio: - (hw:2,0)"), device(5, "USB Audio: - (hw:3,0)")
    assert again.find([moved, device(6, "USB Audio 2: - (hw:4,0)")]) == moved
    assert again.find([moved, twin]) is None
    assert again.find([moved, again.lost, twin]) == again.lost
