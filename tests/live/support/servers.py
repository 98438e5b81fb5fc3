"""Sound servers of our own: private folders, no sound card, ended with the test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE_SECONDS = 20.0
RATE = 48000
WIDE_CHANNELS = 8
# ALSA's order
WIDE_MAP = "front-left,front-right,rear-left,rear-right,front-center,lfe,side-left,side-right"


class UnavailableError(Exception):
    """The server, or what a client of it needs, is not installed or does not come up."""


@dataclass
class Server:
    """A server, and the environment in which programs find it; its own run behind a ``prefix``."""

    name: str
    environment: Mapping[str, str]
    command: Sequence[str]
    ready: Sequence[str]
    rate: int = RATE
    prefix: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = process = subprocess.Popen(
            self.command,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(lambda: process.poll() is not None or self.call(*self.ready) is not None)
        if process.poll() is not None:
            raise UnavailableError(f"{self.name} ended with {process.returncode}")

    def kill(self, sent: signal.Signals = signal.SIGKILL) -> None:
        """End it, at once as a crash would unless told otherwise."""
        if self.process is not None:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(self.process.pid, sent)  # with what it has started
            self.process.wait(PATIENCE_SECONDS)
            self.process = None

    def call(self, *command: str) -> str | None:
        """What one of the server's own programs prints; None where it fails."""
        done = subprocess.run(
            (*self.prefix, *command),
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return done.stdout if done.returncode == 0 else None

    @contextmanager
    def recording(self, source: str, file: Path, channels: int) -> Iterator[None]:
        """Have PulseAudio's parec record a source into a file: float32, without a header."""
        layout = ("--format=float32le", f"--rate={self.rate}", f"--channels={channels}")
        if channels == WIDE_CHANNELS:
            layout += (f"--channel-map={WIDE_MAP}",)
        command = ("parec", "--raw", f"--device={source}", "--latency-msec=50", *layout)
        with file.open("wb") as out:
            recorder = subprocess.Popen(command, env=os.environ | self.environment, stdout=out)
            try:
                yield
            finally:
                recorder.terminate()
                recorder.wait(PATIENCE_SECONDS)


def wait_until(holds: Callable[[], bool], patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something outside of this process, which there is no other way to learn of."""
    deadline = time.monotonic() + patience_seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain")
        time.sleep(0.01)


@contextmanager
def pulse(rate: int = RATE) -> Iterator[Server]:
    """PulseAudio with two null sinks.

    For PortAudio these are the ALSA devices ``player`` (plays into the stereo sink), ``source``
    (its monitor: what was played there), ``wide`` (plays into the sink of eight channels) and
    ``heard`` (its monitor); ``both`` takes from ``source`` and plays into ``wide``, ``round`` takes
    from ``heard`` and plays into ``player``. For PulseAudio's programs the sinks are ``source`` and
    ``wide``.
    """
    needs("pulseaudio", "pactl", "parec")
    with folder() as place:
        socket = place / "socket"
        environment = {
            "XDG_RUNTIME_DIR": str(place),
            "PULSE_RUNTIME_PATH": str(place),
            "PULSE_STATE_PATH": str(place),
            "PULSE_CONFIG_PATH": str(place),
            "PULSE_SERVER": f"unix:{socket}",
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
            "ALSA_CONFIG_PATH": str(place / "asound.conf"),
            "JACK_NO_START_SERVER": "1",
        }
        devices = {
            "player": "source",
            "source": "source.monitor",
            "wide": "wide",
            "heard": "wide.monitor",
        }
        lines = [
            f'pcm.{name} {{ type pulse server "unix:{socket}" device "{device}" }}\n'
            for name, device in devices.items()
        ]
        lines += [
            f'pcm.{name} {{ type asym capture.pcm "{source}" playback.pcm "{sink}" }}\n'
            for name, source, sink in (("both", "source", "wide"), ("round", "heard", "player"))
        ]
        # without a default device PortAudio 19.6 aborts
        (place / "asound.conf").write_text("".join(["pcm.default { type null }\n", *lines]))
        sink = f"module-null-sink norewinds=1 rate={rate} format=float32le sink_name="
        modules = (
            f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
            f"{sink}source channels=2",
            f"{sink}wide channels={WIDE_CHANNELS} channel_map={WIDE_MAP}",
        )
        flags = ("-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1")
        loads = [f"--load={module}" for module in modules]
        command = ("pulseaudio", *flags, "--disallow-exit", *loads)
        yield from running(Server("pulseaudio", environment, command, ("pactl", "info"), rate))


@contextmanager
def jack(
    period_frames: int = 256, rate: int = RATE, *, real_time: bool = False
) -> Iterator[Server]:
    """JACK without a sound card; its ports ``system:capture_1``, ... are silent.

    With ``real_time`` its threads and those of its clients have real-time priority.
    """
    needs("jackd", "jack_lsp", "jack_connect")
    with folder() as place:
        name = place.name
        environment = {
            "JACK_DEFAULT_SERVER": name,
            "JACK_NO_START_SERVER": "1",
            "JACK_NO_AUDIO_RESERVATION": "1",
        }
        dummy = ("-d", "dummy", "-r", str(rate), "-p", str(period_frames), "-C", "2", "-P", "8")
        priority = ("--realtime", "--realtime-priority=10") if real_time else ("--no-realtime",)
        command = ("jackd", "-n", name, *priority, "--no-mlock", *dummy)
        try:
            yield from running(Server("jackd", environment, command, ("jack_lsp",), rate))
        finally:  # of clients whose server was killed
            for semaphore in Path("/dev/shm").glob(f"jack_sem.*_{name}_*"):
                semaphore.unlink()


def running(server: Server) -> Iterator[Server]:
    """Start a server, and end it however its use ends."""
    try:
        server.start()
        yield server
    finally:
        if server.process is None:  # it was killed: only a new one clears away what that one left
            server.start()
        server.kill(signal.SIGTERM)


def needs(*programs: str) -> None:
    """Refuse where a program is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise UnavailableError(f"{', '.join(missing)} not installed; see .ci/system-packages")


@contextmanager
def folder() -> Iterator[Path]:
    """A folder with a short path, since a socket's name has a limit."""
    with tempfile.TemporaryDirectory(prefix="stem") as path:
        yield Path(path)
