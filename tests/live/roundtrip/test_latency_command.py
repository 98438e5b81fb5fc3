"""`stemstream latency` on sound servers of our own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live.support.servers import RATE, Server

from streamer.live.devices.portaudio import PortAudioBackend


@pytest.fixture(autouse=True)
def timings_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def latency(*words: str) -> subprocess.CompletedProcess[str]:
    """The command, with a schedule that leaves a busy machine its time."""
    code = "import sys; from cli.main import main; main()"
    schedule = ("--hop", "0.4", "--lookahead", "0.1", "--samplerate", str(RATE))
    return subprocess.run(
        [sys.executable, "-c", code, "latency", *schedule, *words],
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def cable(jack: Server) -> Iterator[None]:
    """Connect the output to the input, whenever both are there."""
    ended = threading.Event()

    def connect() -> None:
        while not ended.wait(0.1):
            for port in (jack.call("jack_lsp") or "").split():
                if port.endswith(":out_0"):
                    jack.call("jack_connect", port, port.replace(":out_0", ":in_0"))

    thread = threading.Thread(target=connect)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_jack_to_the_frame(jack: Server, portaudio: PortAudioBackend) -> None:
    with cable(jack):
        done = latency("--input", "JACK:system", "--output", "JACK:system", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["duplex"]
    assert told["model"] == "passthrough"
    if not told["xruns"]:  # on a busy machine
        assert told["separator"]["measured_frames"] == told["separator"]["announced_frames"]
        away = told["total"]["measured"]["frames"] - told["total"]["announced_frames"]
        assert abs(away) <= told["blocksize"]
    assert sum(told["separator"]["parts_frames"].values()) == told["separator"]["announced_frames"]


def test_pulseaudio_through_a_monitor(pulse: Server, portaudio: PortAudioBackend) -> None:
    done = latency("--input", "source", "--output", "player")
    assert done.returncode == 0, done.stderr
    table = {
        line[:26].strip(): line.split()
        for line in done.stdout.splitlines()
        if line.rstrip().endswith("frames")
    }
    assert set(table) >= {"devices, there and back", "separator", "whole"}
    assert "from input to output" in done.stderr
    # the server buffers each stream anew, and may run dry beside other programs
    announced, measured = (float(word) for word in table["separator"][1:6:3])
    assert measured == pytest.approx(announced, abs=150)
