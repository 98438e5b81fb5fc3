"""A round trip by PortAudio alone: what `stemstream live` is measured by, and with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from live.support.servers import wait_until

from streamer.audio import Samples
from streamer.errors import DeviceError
from streamer.live.devices.device import StreamRequest, find_device
from streamer.live.devices.portaudio import PortAudioBackend
from streamer.live.realtime.ports import CapturePort, DuplexPort, PlaybackPort
from streamer.live.roundtrip.loopback import LoopbackDelay, burst_train, find_delay

BURSTS = 6
AFTER_SECONDS = 1.2
PASS_FRAMES = 4410
SETTLING_BLOCKS = 20
ATTEMPTS = 3
EYE = np.eye(2, dtype=np.float32)
NOTHING = np.zeros((2, 2), np.float32)


class Loop:
    """Plays bursts into what is captured, and looks for them in what comes out: on ``round``.

    Its own buffers do not count: frames are known by the times of their converters.
    """

    def __init__(self, backend: PortAudioBackend, samplerate: int, blocksize: int) -> None:
        self._backend, self._rate, self._block = backend, samplerate, blocksize

    def measure(self) -> LoopbackDelay:
        """The delay from converter to converter; again where the stream ran dry."""
        for _ in range(ATTEMPTS - 1):
            try:
                return self._measure()
            except DeviceError:
                continue
        return self._measure()

    def _measure(self) -> LoopbackDelay:
        rate = self._rate
        train = burst_train(rate, bursts=BURSTS)
        frames = len(train) + round(AFTER_SECONDS * rate)
        played = PlaybackPort(0, 2, rate, 0, capacity_frames=2 * frames)
        played.set_gains(NOTHING, EYE)
        CapturePort(1, rate, [played], capacity_frames=2 * frames).feed(train[:, None])
        heard = CapturePort(2, rate, [], capacity_frames=2 * frames)
        duplex = DuplexPort(heard, played)
        device = find_device(self._backend.devices(), "round", "output")
        stream = self._backend.open(
            _request(device, device, rate, self._block, duplex.callback_address, duplex.address)
        )
        try:
            stream.start()
            wait_until(lambda: heard.counters().captured_frames >= frames)
        except TimeoutError as error:
            raise DeviceError("the stream stopped") from error
        finally:
            stream.close()
        recorded: Samples = np.zeros((2 * frames, 2), np.float32)
        count = heard.ring.read(recorded)
        found = find_delay(train, recorded[:count, 0], rate)
        dac = _converted(played.log(), "position", rate, 1)
        adc = _converted(heard.log(), "frame", rate, -1)
        return replace(found, exact_frames=found.exact_frames + (adc - dac) * rate)


def _converted(notes: Any, frame: str, samplerate: int, side: int) -> float:
    """When the converter had frame 0, as the callbacks were told after the first few.

    It plays after the call (``side`` 1) or recorded before it (-1).
    """
    notes = notes[SETTLING_BLOCKS:]
    seconds = notes["called_seconds"] + side * notes["converter_seconds"]
    return float(np.nanmedian(seconds - notes[frame] / samplerate))


@contextmanager
def pass_through(
    backend: PortAudioBackend, names: tuple[str, str], samplerate: int, blocksize: int
) -> Iterator[int]:
    """Native callbacks between two devices, or on one, and no engine; gives their delay."""
    one = names[0] == names[1]
    played = PlaybackPort(
        0, 2, samplerate, PASS_FRAMES, capacity_frames=4 * samplerate, drift=not one
    )
    played.set_gains(NOTHING, EYE)
    taken = CapturePort(2, samplerate, [played], capacity_frames=4 * samplerate)
    duplex = DuplexPort(taken, played)
    source = find_device(backend.devices(), names[0], "input")
    target = find_device(backend.devices(), names[1], "output")
    shape = samplerate, blocksize
    if one:
        requests = [_request(source, target, *shape, duplex.callback_address, duplex.address)]
    else:
        requests = [
            _request(source, None, *shape, taken.callback_address, taken.address),
            _request(None, target, *shape, played.callback_address, played.address),
        ]
    streams = [backend.open(request) for request in requests]
    try:
        for stream in streams:
            stream.start()
        wait_until(lambda: played.counters().position > samplerate)
        yield PASS_FRAMES
    finally:
        for stream in streams:
            stream.close()


def _request(source, target, samplerate, blocksize, callback, state):
    return StreamRequest(
        input=source,
        output=target,
        input_channels=2 if source else 0,
        output_channels=2 if target else 0,
        samplerate=samplerate,
        blocksize=blocksize,
        latency="high",
        callback_address=callback,
        state_address=state,
    )
