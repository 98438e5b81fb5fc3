"""Sound servers and PortAudio for tests; what is not installed skips the tests that need it."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
from live.support import pipewire as desktop
from live.support import servers
from live.support.command import LiveRun, caches
from live.support.servers import Server

from cli.main import run
from streamer.errors import DeviceError
from streamer.live.devices.portaudio import PortAudioBackend
from streamer.live.devices.portaudio_library import library
from streamer.stop_signals import STOP_SIGNALS


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


@pytest.fixture(scope="module")
def pipewire() -> Iterator[Server]:
    """PipeWire for the tests of a module, see `pipewire.pipewire`. Name it before ``portaudio``."""
    with found(desktop.pipewire()) as server:
        yield server


@pytest.fixture(scope="session")
def timings_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the timings of all tests are: a model is timed once."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture
def timings(timings_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are not timed in the user's cache, nor looked for there."""
    for name, value in caches(timings_folder).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def live(timings: None) -> Iterator[Callable[..., LiveRun]]:
    """Start `stemstream live` as a process of its own; it is ended with the test."""
    runs: list[LiveRun] = []

    def start(*words: object) -> LiveRun:
        runs.append(LiveRun(*words))
        return runs[-1]

    yield start
    for one in runs:
        one.kill()


@pytest.fixture
def portaudio() -> Iterator[PortAudioBackend]:
    """PortAudio with the devices of the servers that run."""
    try:
        backend = PortAudioBackend()
    except DeviceError as error:
        pytest.skip(str(error))
    backend.refresh()
    backend.refresh()  # after a PortAudio that was given up, ALSA's settings are read with this one
    yield backend
    for stream in list(library().streams):
        stream.close()


@pytest.fixture
def refused(
    timings: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run `stemstream live` in this process; return its exit code and the one line that it told."""

    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["stemstream", "live", *map(str, words)])
        before = {sent: signal.getsignal(sent) for sent in STOP_SIGNALS}
        try:
            with pytest.raises(SystemExit) as ended:
                run()
        finally:
            gc.enable()
            for sent, handler in before.items():
                signal.signal(sent, handler)
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith("stemstream: ")
        assert isinstance(ended.value.code, int)
        return ended.value.code, line

    return call
