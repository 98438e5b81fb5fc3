"""What JACK calls, called as JACK would, without a server: its functions are ctypes' here."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from live.support.blocks import gains_of
from support.doubles import noise

from streamer.live.realtime import jack_callbacks as rt
from streamer.live.realtime.ports import CapturePort, DuplexPort, PlaybackPort

BLOCK, DELAY = 64, 100
_WORD = ctypes.c_ssize_t
PROCESS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint32, _WORD)(rt.process_callback.address)
LATENCY = ctypes.CFUNCTYPE(None, ctypes.c_int, _WORD)(rt.latency_callback.address)
XRUN = ctypes.CFUNCTYPE(ctypes.c_int, _WORD)(rt.xrun_callback.address)


class Host:
    """A JACK server's side of one client: ports of two inputs and three outputs.

    A port's handle is its number from 1, inputs first.
    """

    def __init__(self) -> None:
        self.playback = PlaybackPort(0, 3, 48000, DELAY, capacity_frames=4096)
        self.playback.set_gains(*gains_of(self.playback, mix_l=[1, 0, 1], mix_r=[0, 1, 0]))
        self.capture = CapturePort(2, 48000, [self.playback], capacity_frames=4096)
        self.duplex = DuplexPort(self.capture, self.playback)
        self.buffers = np.zeros((6, 2 * BLOCK), np.float32)
        self.ranges = dict.fromkeys(range(1, 6), (0, 0))
        self.connected: set[int] = set()
        self._kept: list[object] = []
        self.state = np.zeros(1, rt.JACK)
        values = {
            "callback": self.duplex.callback_address,
            "user_data": self.duplex.address,
            "inputs": 2,
            "outputs": 3,
            "input_ports": self._array(np.array([1, 2])),
            "output_ports": self._array(np.array([3, 4, 5])),
            "taken": self._array(np.zeros((BLOCK, 2), np.float32)),
            "played": self._array(np.zeros((BLOCK, 3), np.float32)),
            "times": self._array(np.array([999.99, 1000.0, 1000.02])),
            "range": self._array(np.zeros(2, np.uint32)),
            "block_frames": BLOCK,
            "samplerate": 48000,
            "delay_frames": DELAY,
            "running": 1,
            "get_buffer": self._function(self._buffer, _WORD, _WORD, ctypes.c_uint32),
            "get_range": self._function(self._get_range, None, _WORD, ctypes.c_int, _WORD),
            "set_range": self._function(self._set_range, None, _WORD, ctypes.c_int, _WORD),
            "is_connected": self._function(
                lambda port: -int(port in self.connected), ctypes.c_int, _WORD
            ),
        }
        for name, value in values.items():
            self.state[name] = value

    def _array(self, array: np.ndarray) -> int:
        self._kept.append(array)
        return array.ctypes.data

    def _function(self, function: object, *kinds: object) -> int:
        made = ctypes.CFUNCTYPE(*kinds)(function)
        self._kept.append(made)
        return ctypes.cast(made, ctypes.c_void_p).value

    def _buffer(self, port: int, _frames: int) -> int:
        return self.buffers[port].ctypes.data

    def _get_range(self, port: int, _mode: int, span: int) -> None:
        (ctypes.c_uint32 * 2).from_address(span)[:] = self.ranges[port]

    def _set_range(self, port: int, _mode: int, span: int) -> None:
        self.ranges[port] = tuple((ctypes.c_uint32 * 2).from_address(span))

    @property
    def address(self) -> int:
        return self.state.ctypes.data

    def cycle(self, taken: np.ndarray) -> np.ndarray:
        """Give `(frames, 2)` to the inputs, return `(frames, 3)` of the outputs."""
        frames = len(taken)
        self.buffers[:] = np.nan
        self.buffers[1:3, :frames] = taken.T
        assert PROCESS(frames, self.address) == 0
        return self.buffers[3:6, :frames].T.copy()


@pytest.fixture
def host() -> Host:
    return Host()


def test_each_port_plays_its_channel_to_the_bit(host: Host) -> None:
    taken = noise(20 * BLOCK)
    played = np.concatenate([host.cycle(block) for block in np.split(taken, 20)])
    expected = taken[: len(played) - DELAY, [0, 1, 0]]
    assert np.array_equal(played[DELAY + 256 :], expected[256:])
    (note,) = host.playback.log()[:1]
    assert note["converter_seconds"] == pytest.approx(0.02)
    (note,) = host.capture.log()[:1]
    assert note["converter_seconds"] == pytest.approx(0.01)


def test_a_block_of_another_length_is_silence_and_is_told(host: Host) -> None:
    """Its buffers are of the old length until the stream is opened again."""
    assert not host.cycle(noise(2 * BLOCK)).any()
    assert host.state["misfits"] == 1
    assert host.capture.counters().callbacks == 0


def test_a_stream_that_is_stopped_is_silence(host: Host) -> None:
    host.state["running"] = 0
    assert not host.cycle(noise(BLOCK)).any()
    assert host.capture.counters().callbacks == host.state["misfits"] == 0


def test_each_xrun_is_counted_once(host: Host) -> None:
    for _ in range(3):
        XRUN(host.address)
    for _ in range(6):
        host.cycle(noise(BLOCK))
    assert host.playback.counters().underflow_flags == 3
    assert host.capture.counters().overflow_flags == 0


def test_latencies_go_through_by_the_delay_and_loose_ports_do_not_count(host: Host) -> None:
    host.connected = {1, 2, 4}
    host.ranges[1], host.ranges[2] = (64, 128), (32, 96)
    LATENCY(rt.CAPTURE_LATENCY, host.address)
    assert [host.ranges[port] for port in (3, 4, 5)] == [(32 + DELAY, 128 + DELAY)] * 3
    host.ranges[3], host.ranges[4] = (7, 7000), (512, 513)
    LATENCY(rt.PLAYBACK_LATENCY, host.address)
    assert [host.ranges[port] for port in (1, 2)] == [(512 + DELAY, 513 + DELAY)] * 2
    assert host.state["graph_changes"] == 2
