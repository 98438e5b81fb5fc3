"""`stemstream live` as a process of its own, on the servers of the tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from live.support.servers import PATIENCE_SECONDS, wait_until

COMMAND = "import sys; {before}\nfrom cli.main import main\nsys.argv[0] = 'stemstream'; main()"
START_SECONDS = 60.0


def words(*words: object, before: str = "") -> list[str]:
    """The command line as a process; ``before`` is run first."""
    return [sys.executable, "-c", COMMAND.format(before=before), *map(str, words)]


def once(*given: object, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        words(*given, before=before),
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )


class LiveRun:
    """A live run that goes on until it is stopped; what it tells is kept."""

    def __init__(self, *given: object) -> None:
        self.told: list[str] = []
        self.process = subprocess.Popen(
            words("live", *given),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # whoever started the tests may have had Ctrl-C ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.told.extend(self.process.stderr)

    def until(self, told: str) -> None:
        """Wait until a line begins so."""
        assert self.has_told(told, START_SECONDS), self.told

    def has_told(self, told: str, within_seconds: float) -> bool:
        """Return whether a line begins so, within a time."""

        def is_told() -> bool:
            return any(line.startswith(told) for line in list(self.told))

        with suppress(TimeoutError):
            wait_until(lambda: is_told() or self._ended(), within_seconds)
        return is_told()

    def _ended(self) -> bool:
        return self.process.poll() is not None and not self._reader.is_alive()

    def stop(self, sent: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return what it exits with."""
        self.process.send_signal(sent)
        return self.wait()

    def wait(self) -> int:
        """Return what it exits with."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        assert "Traceback" not in "".join(self.told), self.told
        assert "ALSA" not in "".join(self.told), self.told
        return code

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def read_report(path: Path) -> dict[str, Any]:
    """What a run wrote with ``--report``."""
    told: dict[str, Any] = json.loads(path.read_text())
    return told


def caches(folder: Path) -> dict[str, str]:
    """The environment of a run that times the model anew and asks no network."""
    return {"XDG_CACHE_HOME": str(folder), "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": os.fspath(folder)}
