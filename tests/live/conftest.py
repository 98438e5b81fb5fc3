"""Sound servers and PortAudio for tests; what is not installed skips the tests that need it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest
from live import servers
from live.servers import Server

from streamer.errors import DeviceError
from streamer.live.portaudio import PortAudioBackend
from streamer.live.portaudio_library import library


@contextmanager
def found(making: AbstractContextManager[Server]) -> Iterator[Server]:
    """A server that this process and its children find."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(making)
        except servers.UnavailableError as error:
            pytest.skip(str(error))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(scope="module")
def pulse() -> Iterator[Server]:
    """PulseAudio for the tests of a module, see `servers.pulse`. Name it before ``portaudio``."""
    with found(servers.pulse()) as server:
        yield server


@pytest.fixture(scope="module")
def jack() -> Iterator[Server]:
    """JACK for the tests of a module, see `servers.jack`. Name it before ``portaudio``."""
    with found(servers.jack()) as server:
        yield server


@pytest.fixture
def portaudio() -> Iterator[PortAudioBackend]:
    """PortAudio with the devices of the servers that run."""
    try:
        backend = PortAudioBackend()
    except DeviceError as error:
        pytest.skip(str(error))
    backend.refresh()
    yield backend
    for stream in list(library().streams):
        stream.close()
