"""JACK's library, and a client of a JACK server: thin, and by ctypes.

`jackd` and PipeWire each have a library of this name with the same functions, and each library
finds only its own server. Debian and Fedora have both: PipeWire's is in a folder of its own, which
only `pw-jack` knows. So there may be several to try.

Ours is a copy, so that we share nothing with PortAudio's client in this process: of a library that
still has a client of a server that ended, no new one comes.

`jack/jack.h` describes the functions. A call can take as long as the server does:
`JackLibrary.call` waits for it, but not forever. A client belongs to the copy that it was opened
with: another one does not know it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from ctypes import POINTER, c_char_p, c_int, c_uint32, c_ulong, c_void_p
from pathlib import Path
from typing import Any, Final, TypeVar

from streamer.errors import DeviceError
from streamer.live.devices.device import Kind
from streamer.live.devices.loaded import path_of
from streamer.live.devices.patience import PATIENCE_SECONDS, NoAnswerError, in_time

_NAMES: Final = {"linux": "libjack.so.0", "darwin": "libjack.dylib"}
_OF_PIPEWIRE: Final = ("usr/lib*/pipewire-*/jack", "usr/lib/*/pipewire-*/jack")
"""Where a system that has another JACK, too, keeps the library of PipeWire."""
NO_LIBRARY: Final = "JACK is not installed; try apt install jackd2, or pipewire-jack"
NO_SERVER: Final = "JACK is not running; start jackd, or PipeWire with pipewire-jack, and try again"

AUDIO: Final = b"32 bit float mono audio"
NO_START, EXACT_NAME = 1, 2  # JackOptions
NAME_TAKEN = 4  # JackStatus
IS_INPUT, IS_OUTPUT, IS_PHYSICAL = 1, 2, 4  # JackPortFlags, as JACK sees them
_ALREADY: Final = 17  # EEXIST
_SETTLE_CYCLES: Final = 4
_SETTLE_SECONDS: Final = 1.0
"""A card that sleeps takes its time to wake."""

_FUNCTIONS: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "jack_client_open": (c_void_p, (c_char_p, c_int, POINTER(c_int))),
    "jack_client_close": (c_int, (c_void_p,)),
    "jack_get_version_string": (c_char_p, ()),
    "jack_get_client_name": (c_char_p, (c_void_p,)),
    "jack_get_sample_rate": (c_uint32, (c_void_p,)),
    "jack_get_buffer_size": (c_uint32, (c_void_p,)),
    "jack_activate": (c_int, (c_void_p,)),
    "jack_deactivate": (c_int, (c_void_p,)),
    "jack_last_frame_time": (c_uint32, (c_void_p,)),
    "jack_set_process_callback": (c_int, (c_void_p, c_void_p, c_void_p)),
    "jack_set_latency_callback": (c_int, (c_void_p, c_void_p, c_void_p)),
    "jack_set_xrun_callback": (c_int, (c_void_p, c_void_p, c_void_p)),
    "jack_set_sample_rate_callback": (c_int, (c_void_p, c_void_p, c_void_p)),
    "jack_set_port_registration_callback": (c_int, (c_void_p, c_void_p, c_void_p)),
    "jack_set_port_connect_callback": (c_int, (c_void_p, c_void_p, c_void_p)),
    "jack_on_shutdown": (None, (c_void_p, c_void_p, c_void_p)),
    "jack_port_register": (c_void_p, (c_void_p, c_char_p, c_char_p, c_ulong, c_ulong)),
    "jack_port_by_name": (c_void_p, (c_void_p, c_char_p)),
    "jack_port_get_all_connections": (POINTER(c_char_p), (c_void_p, c_void_p)),
    "jack_port_get_latency_range": (None, (c_void_p, c_int, POINTER(c_uint32))),
    "jack_get_ports": (POINTER(c_char_p), (c_void_p, c_char_p, c_char_p, c_ulong)),
    "jack_connect": (c_int, (c_void_p, c_char_p, c_char_p)),
    "jack_recompute_total_latencies": (c_int, (c_void_p,)),
    "jack_free": (None, (c_void_p,)),
    "jack_set_error_function": (None, (c_void_p,)),
    "jack_set_info_function": (None, (c_void_p,)),
}
_LATENCY_MODES: Final[dict[Kind, int]] = {"input": 0, "output": 1}  # capture, playback

_Result = TypeVar("_Result")


class NoServerError(DeviceError):
    """A library of JACK is not installed, or finds no server."""


def library_names(root: Path = Path("/")) -> list[str]:
    """Return what can be loaded as a library of JACK: the usual one, then those of PipeWire."""
    name = _NAMES.get(sys.platform, "libjack.so")
    return [name, *(str(file) for place in _OF_PIPEWIRE for file in root.glob(f"{place}/{name}"))]


class LoadedJack:
    """A copy of a library, with its functions. Its name is one of `library_names`.

    Raises:
        NoServerError: it is not installed.
    """

    def __init__(self, name: str) -> None:
        self._loaded = loaded = _load(name)
        self._functions = {
            name: ctypes.CFUNCTYPE(returns, *takes)((name, loaded))
            for name, (returns, takes) in _FUNCTIONS.items()
        }
        # it would print, also from its own threads; strlen reads a message and does no more
        quiet = ctypes.cast(ctypes.CDLL(None).strlen, c_void_p)
        self.jack_set_error_function(quiet)
        self.jack_set_info_function(quiet)

    def __getattr__(self, name: str) -> Any:
        return self._functions[name]

    @property
    def of_pipewire(self) -> bool:
        """Whether its server is PipeWire, and no `jackd`."""
        return b"PipeWire" in self.jack_get_version_string()

    def address(self, name: str) -> int:
        """Where one of its functions is, for compiled code."""
        return int(ctypes.cast(getattr(self._loaded, name), c_void_p).value or 0)


class JackLibrary:
    """A library, of which new clients use the copy that is ``loaded``.

    Raises:
        NoServerError: it is not installed.
    """

    def __init__(self, name: str) -> None:
        self.loaded = LoadedJack(name)
        self.patience_seconds = PATIENCE_SECONDS
        self._name = name
        self._left: list[object] = []

    def call(
        self,
        function: Callable[[], _Result],
        user: object = None,
        late: Callable[[], object] | None = None,
    ) -> _Result:
        """Run something that calls the library, but do not wait for it forever.

        If it does not return, its thread stays in this copy of the library, and its ``user`` in
        memory; new clients go to another copy. If it returns after all, that thread calls ``late``.

        Raises:
            NoAnswerError: it does not return.
        """
        try:
            return in_time(function, "jack call", self.patience_seconds, late)
        except NoAnswerError:
            self._left.append((self.loaded, function, user))
            self.loaded = LoadedJack(self._name)
            raise


def _load(name: str) -> Any:
    try:
        shared = ctypes.CDLL(name)
    except OSError as error:
        raise NoServerError(NO_LIBRARY) from error
    path = Path(name) if os.sep in name else path_of("libjack")
    if path is None:
        return shared
    with tempfile.TemporaryDirectory() as folder, suppress(OSError):
        copy = Path(folder, path.name)
        shutil.copyfile(path, copy)
        return ctypes.CDLL(str(copy))
    return shared  # there is no place that programs may be loaded from


class JackClient:
    """A client of the server that runs; it does nothing before `activate`.

    Raises:
        NoServerError: there is no server.
        DeviceError: the name is taken, and has to be the ``exact`` one.
    """

    def __init__(self, loaded: LoadedJack, name: str, *, exact: bool = False) -> None:
        self.loaded = loaded
        self._open(name, exact)
        if loaded.of_pipewire:
            self._settle()
            self._take_a_free_name(name, exact)
        else:
            self.samplerate, self.block_frames = self._clock()

    def _open(self, name: str, exact: bool) -> None:
        status = c_int()
        options = NO_START | (EXACT_NAME if exact else 0)
        loaded = self.loaded
        self._client = loaded.jack_client_open(name.encode(), options, ctypes.byref(status))
        if not self._client:
            raise _taken(name) if status.value & NAME_TAKEN else NoServerError(NO_SERVER)
        self.name = loaded.jack_get_client_name(self._client).decode()

    def _take_a_free_name(self, name: str, exact: bool) -> None:
        """Add a number, as `jackd` does. PipeWire tells both clients that they have the name."""
        ports = self._names(self.loaded.jack_get_ports(self._client, None, AUDIO, 0))
        taken = set(map(program_of, ports))
        if name not in taken:
            return
        self.close()
        free = next((one for one in _numbered(name) if one not in taken), None)
        if exact or free is None:
            raise _taken(name)
        self._open(free, exact)

    def _clock(self) -> tuple[int, int]:
        """Return the rate, and the frames of a block."""
        loaded, client = self.loaded, self._client
        return int(loaded.jack_get_sample_rate(client)), int(loaded.jack_get_buffer_size(client))

    def _settle(self) -> None:
        """Learn rate and blocks on PipeWire: it agrees on them with all clients that run.

        A client that does not run is told the usual ones, or those that it asks for.
        """
        loaded, client = self.loaded, self._client
        if loaded.jack_activate(client):
            self.close()
            raise NoServerError(NO_SERVER)
        end, cycles, seen = time.monotonic() + _SETTLE_SECONDS, 0, 0
        while cycles < _SETTLE_CYCLES and time.monotonic() < end:
            time.sleep(0.001)
            now = loaded.jack_last_frame_time(client)
            cycles, seen = cycles + (now != seen), now
        self.samplerate, self.block_frames = self._clock()
        loaded.jack_deactivate(client)

    def register(self, name: str, kind: Kind) -> int:
        """Make a port that takes in or plays; return its handle.

        Raises:
            DeviceError: the server has no port left, or none of that name.
        """
        flags = IS_INPUT if kind == "input" else IS_OUTPUT
        port = self.loaded.jack_port_register(self._client, name.encode(), AUDIO, flags, 0)
        if not port:
            raise DeviceError(f"JACK has no room for the port {name!r}; try jackd --port-max 4096")
        return int(port)

    def activate(self, callbacks: Mapping[str, int], state: int) -> None:
        """Begin the cycles; JACK calls the functions at these addresses, and gives them ``state``.

        ``callbacks`` are by the name of the function of JACK that is told of one.

        Raises:
            DeviceError: the server has ended.
        """
        for name, address in callbacks.items():
            getattr(self.loaded, name)(self._client, address, state)
        if self.loaded.jack_activate(self._client):
            raise DeviceError(NO_SERVER)

    def close(self) -> None:
        """Leave the server: no callback runs any more."""
        self.loaded.jack_client_close(self._client)

    # The graph

    def system_ports(self, kind: Kind) -> list[str]:
        """The ports of sound cards: where inputs come from, or outputs go to."""
        flags = IS_PHYSICAL | (IS_OUTPUT if kind == "input" else IS_INPUT)
        return self._names(self.loaded.jack_get_ports(self._client, None, AUDIO, flags))

    def card_ports(self, kind: Kind) -> list[str]:
        """Those of one card: PipeWire has the ports of all cards, the default one's first."""
        ports = self.system_ports(kind)
        return [port for port in ports if program_of(port) == program_of(ports[0])]

    def is_there(self, port: str) -> bool:
        """Whether there is a port of this name, with its client's name before it."""
        return bool(self.loaded.jack_port_by_name(self._client, port.encode()))

    def connected_to(self, port: str) -> set[str]:
        """The ports that a port of our own is connected to."""
        handle = self.loaded.jack_port_by_name(self._client, f"{self.name}:{port}".encode())
        if not handle:
            return set()
        return set(self._names(self.loaded.jack_port_get_all_connections(self._client, handle)))

    def connect(self, port: str, kind: Kind, other: str) -> bool:
        """Connect a port of our own with another; return whether they are connected now."""
        ends = [f"{self.name}:{port}".encode(), other.encode()]
        source, target = ends if kind == "output" else ends[::-1]
        return self.loaded.jack_connect(self._client, source, target) in (0, _ALREADY)

    def latency_frames(self, port: str, kind: Kind) -> int:
        """How late sound is that a port brings in (``input``), or has yet to go (``output``)."""
        handle = self.loaded.jack_port_by_name(self._client, port.encode())
        span = (c_uint32 * 2)()
        if handle:
            self.loaded.jack_port_get_latency_range(handle, _LATENCY_MODES[kind], span)
        return int(span[1])

    def announce_latencies(self) -> None:
        """Have the server ask all clients for their latencies again."""
        self.loaded.jack_recompute_total_latencies(self._client)

    def _names(self, listed: Any) -> list[str]:
        names: list[str] = []
        if listed:
            while listed[len(names)] is not None:
                names.append(listed[len(names)].decode(errors="replace"))
            self.loaded.jack_free(listed)
        return names


def program_of(port: str) -> str:
    """Return the name of the client that a port belongs to."""
    return port.partition(":")[0]


def _numbered(name: str) -> Iterator[str]:
    return (f"{name}-{number:02d}" for number in range(1, 100))


def _taken(name: str) -> DeviceError:
    return DeviceError(f"another JACK client is named {name!r}; end it, or try another --jack-name")
