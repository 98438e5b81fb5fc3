"""JACK, and PipeWire as JACK, through a client of our own: one device with ports that have names.

A JACK client has as many ports as it makes, and one clock for all of them. So there is one device,
``jack``, for input and output. Its blocks and its rate are the server's.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from streamer.errors import DeviceError
from streamer.live.devices.device import KINDS, Device, Kind, StreamRequest, check_channels
from streamer.live.devices.jack_connections import Connections
from streamer.live.devices.jack_library import (
    NO_LIBRARY,
    JackClient,
    JackLibrary,
    LoadedJack,
    NoServerError,
    library_names,
)

if TYPE_CHECKING:
    from streamer.live.devices.jack_stream import JackStream

NAME: Final = "jack"
HOST_API: Final = "JACK"
CLIENT_NAME: Final = "stemstream"
MOST_PORTS: Final = 128


class JackBackend:
    """The JACK server that runs. See `AudioBackend`.

    A stream is a client called ``name``, or nearly so if there is such a client already. With
    ``connect`` new ports are connected to the sound card's. The name is kept for the next stream
    of the same directions, and what ports were connected to for the next ones of their names.

    Raises:
        DeviceError: JACK is not installed, or does not run.
    """

    def __init__(self, name: str = CLIENT_NAME, *, connect: bool = True) -> None:
        self._name, self._connect = name, connect
        self._names: dict[tuple[Kind, ...], str] = {}
        self._connections = Connections()
        self._streams: list[JackStream] = []
        self._library, self._devices = self._find()

    def _find(self) -> tuple[JackLibrary, list[Device]]:
        """Return the library that finds a server, and the device."""
        refusal = None
        for name in library_names():
            try:
                library = JackLibrary(name)
                return library, [library.call(partial(self._look, library.loaded))]
            except NoServerError as error:
                if refusal is None or str(error) != NO_LIBRARY:
                    refusal = error  # of a library that is installed, if any is
        assert refusal is not None
        raise refusal

    @property
    def server(self) -> str:
        """What the server is called."""
        return "PipeWire" if self._library.loaded.of_pipewire else "jackd"

    def devices(self) -> list[Device]:
        """The one device, as it was when a `refresh` last found the server."""
        return self._devices

    def refresh(self) -> bool:
        """Look for the server again; returns False, without a look, while a stream is open."""
        if self._open_names():
            return False
        with suppress(DeviceError):  # it is away, and so says who opens the device
            self._devices = [self._library.call(partial(self._look, self._library.loaded))]
        return True

    def _open_names(self) -> list[str]:
        self._streams = [stream for stream in self._streams if not stream.closed]
        return [stream.name for stream in self._streams]

    def _look(self, jack: LoadedJack) -> Device:
        client = JackClient(jack, self._name)
        try:
            frames = [
                max(
                    [client.latency_frames(port, kind) for port in client.system_ports(kind)] or [0]
                )
                for kind in KINDS
            ]
        finally:
            client.close()
        return Device(
            index=0,
            name=NAME,
            hostapi=HOST_API,
            input_channels=MOST_PORTS,
            output_channels=MOST_PORTS,
            samplerate=client.samplerate,
            input_latency_seconds=frames[0] / client.samplerate,
            output_latency_seconds=frames[1] / client.samplerate,
            default_input=True,
            default_output=True,
            block_frames=client.block_frames,
            makes_ports=True,
        )

    def channels_behind(self, device: Device, kind: Kind) -> int | None:
        """Return how many ports there may be."""
        return device.channels(kind)

    def open(self, request: StreamRequest) -> JackStream:
        """Open a stream.

        Raises:
            DeviceError: it cannot be had as asked.
        """
        # imported here, since who only lists devices need not wait for compiled code
        from streamer.live.devices.jack_stream import JackStream

        check_channels(request)
        jack, clients = self._library.loaded, list[JackClient]()
        directions = tuple(kind for kind, _, _ in request.sides())
        name = self._names.get(directions, self._name)
        exact = directions in self._names and name not in self._open_names()

        def opened() -> JackStream:
            client = JackClient(jack, name, exact=exact)
            clients.append(client)
            try:
                self._prepare(client, request)
                return JackStream(self._library, client, request, self._connections)
            except BaseException:
                clients.remove(client)
                client.close()
                raise

        def leave() -> None:
            for client in clients:
                client.close()

        stream = self._library.call(opened, late=leave)
        self._names[directions] = stream.name
        self._streams.append(stream)
        return stream

    def _prepare(self, client: JackClient, request: StreamRequest) -> None:
        """Check the rate, and say what ports that are new are connected to."""
        if client.samplerate != request.samplerate:
            raise DeviceError(
                f"samplerate={request.samplerate} must be the one of the JACK server; "
                f"try {client.samplerate}"
            )
        for kind, port in request.ports():
            card = client.card_ports(kind)[port.number - 1 : port.number]
            self._connections.begin(port.name, card if self._connect else [])
