"""A stream on JACK: a client, its ports, and the record that compiled code works on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from streamer.errors import DeviceError
from streamer.live.devices.device import KINDS, Kind, StreamRequest
from streamer.live.devices.jack_connections import Connections
from streamer.live.devices.jack_library import JackClient, JackLibrary, program_of
from streamer.live.devices.patience import NoAnswerError
from streamer.live.realtime import jack_callbacks as rt
from streamer.live.realtime.port import address_of

_Result = TypeVar("_Result")

_NOW_SECONDS: Final = 1000.0
"""When each call is, on the stream's clock: of its times only the distances count."""
_CALLBACKS: Final = {
    "jack_set_process_callback": rt.process_callback,
    "jack_set_latency_callback": rt.latency_callback,
    "jack_set_xrun_callback": rt.xrun_callback,
    "jack_set_sample_rate_callback": rt.rate_callback,
    "jack_set_port_registration_callback": rt.port_callback,
    "jack_set_port_connect_callback": rt.connection_callback,
    "jack_on_shutdown": rt.shutdown_callback,
}
_C_FUNCTIONS: Final = {
    "get_buffer": "jack_port_get_buffer",
    "get_range": "jack_port_get_latency_range",
    "set_range": "jack_port_set_latency_range",
    "is_connected": "jack_port_connected",
}


class JackStream:
    """A stream whose callback is called from JACK's thread. See `DeviceStream`.

    It ends when the server does, and when the server takes other blocks or another rate.
    """

    uncounted_seconds = 0.0
    exact = True

    def __init__(
        self,
        library: JackLibrary,
        client: JackClient,
        request: StreamRequest,
        connections: Connections,
    ) -> None:
        """Not for callers: see `JackBackend.open`."""
        self._library, self._client = library, client
        self._request, self._connections = request, connections
        self._samplerate = request.samplerate
        self.name, self.block_frames = client.name, client.block_frames
        self._ports = {port.name: kind for kind, port in request.ports()}
        self._kept: list[NDArray[Any]] = []
        self._state = np.zeros(1, rt.JACK)
        self._times = np.full(3, _NOW_SECONDS)
        self._latency_seconds = 0.0, 0.0
        self._delay_frames = request.delay()
        self._fill()
        self._seen_changes = -1
        self.closed = self._left = False
        self._tell_times()

    def _fill(self) -> None:
        """Fill the record. Its arrays live as long as the stream."""
        request, frames = self._request, self.block_frames
        handles = {kind: self._handles(kind) for kind in KINDS}
        values = {
            "callback": request.callback_address,
            "user_data": request.state_address,
            "inputs": len(handles["input"]),
            "outputs": len(handles["output"]),
            "input_ports": self._keep(handles["input"]),
            "output_ports": self._keep(handles["output"]),
            "taken": self._keep(np.zeros((frames, len(handles["input"])), np.float32)),
            "played": self._keep(np.zeros((frames, len(handles["output"])), np.float32)),
            "times": self._keep(self._times),
            "range": self._keep(np.zeros(2, np.uint32)),
            "block_frames": frames,
            "samplerate": request.samplerate,
            "delay_frames": self._delay_frames,
            "waits": self._client.loaded.of_pipewire,
        }
        values |= {name: self._client.loaded.address(of) for name, of in _C_FUNCTIONS.items()}
        for name, value in values.items():
            self._state[name] = value

    def _handles(self, kind: Kind) -> NDArray[np.int64]:
        names = [name for name, of in self._ports.items() if of == kind]
        return np.array([self._client.register(name, kind) for name in names], np.int64)

    def _keep(self, array: NDArray[Any]) -> int:
        self._kept.append(array)
        return address_of(array)

    @property
    def active(self) -> bool:
        """Whether the server still calls, with the same blocks and at the same rate."""
        told = self._state[0]
        over = told["ended"] or told["misfits"] or told["other_rate"] or not told["running"]
        return not (over or self.closed or self._left)

    @property
    def input_latency_seconds(self) -> float:
        """From the converter to the callback, as the ports tell that the inputs come from."""
        return self._latency_seconds[0]

    @property
    def output_latency_seconds(self) -> float:
        """From the callback to the converter, as the ports tell that the outputs go to."""
        return self._latency_seconds[1]

    def time(self) -> float:
        """Now, on the clock of the times that the callback gets."""
        return _NOW_SECONDS

    def start(self) -> None:
        """Begin to call, and connect the ports.

        Raises:
            DeviceError: the server has ended, or hangs.
        """
        self._call(self._begin)
        self._state["running"] = 1

    def _call(self, function: Callable[[], _Result]) -> _Result:
        """Call the server. If it hangs, the thread that is left in the call closes the client."""
        try:
            return self._library.call(function, self, late=self._leave)
        except NoAnswerError:
            self._left = True
            raise

    def _begin(self) -> None:
        callbacks = {name: one.address for name, one in _CALLBACKS.items()}
        self._client.activate(callbacks, address_of(self._state))
        self._connections.look(self._client, self._ports)
        self._announce()
        self._tell_times()

    def _leave(self) -> None:
        self._client.close()
        self._connections.lost(self._ports)

    def _announce(self) -> None:
        """Tell the server what our delay adds to the latencies."""
        if self._client.loaded.of_pipewire:  # see `rt.latency_callback`
            for mode in (rt.CAPTURE_LATENCY, rt.PLAYBACK_LATENCY):
                rt.pass_latencies_on(address_of(self._state), mode)
        else:
            self._client.announce_latencies()

    def look(self) -> None:
        """Follow the graph, where it changed, and our own delay. Never raises."""
        changes = int(self._state["graph_changes"][0])
        as_before = changes == self._seen_changes and self._request.delay() == self._delay_frames
        if as_before or not self.active:
            return
        with suppress(NoAnswerError):
            self._seen_changes = -1 if self._call(self._follow) else changes

    def _follow(self) -> bool:
        again = self._connections.look(self._client, self._ports)
        told, self._delay_frames = self._delay_frames, self._request.delay()
        self._state["delay_frames"] = self._delay_frames
        if self._client.loaded.of_pipewire or told != self._delay_frames:
            self._announce()
        self._tell_times()
        return again

    def _tell_times(self) -> None:
        """Tell the callback how far the converters are, there and back."""
        into, out_of = self._latency_seconds = self._latency("input"), self._latency("output")
        self._times[:] = _NOW_SECONDS - into, _NOW_SECONDS, _NOW_SECONDS + out_of

    def _latency(self, kind: Kind) -> float:
        """Return what the ports tell that one side is connected to, in seconds.

        A program that both sides are connected to is left out: what it tells includes our own
        delay, and more of it each time that JACK asks.
        """
        others = {one: self._others(one) for one in KINDS}
        programs = [set(map(program_of, others[one])) for one in KINDS]
        looped = programs[0] & programs[1]
        card = self._client.system_ports(kind)
        frames = [
            self._client.latency_frames(other, kind)
            for other in others[kind]
            if other in card or program_of(other) not in looped
        ]
        return max(frames, default=0) / self._samplerate

    def _others(self, kind: Kind) -> list[str]:
        names = [name for name, of in self._ports.items() if of == kind]
        return [other for name in names for other in self._connections.of(name)]

    def stop(self) -> None:
        """Call no more."""
        self._state["running"] = 0

    def close(self) -> None:
        """Stop at once, and leave the server. Twice is fine; never raises."""
        self.stop()
        if self.closed:
            return
        self.closed = True
        self._connections.lost(self._ports)
        if not self._left:
            with suppress(DeviceError):
                self._library.call(self._client.close, self)
