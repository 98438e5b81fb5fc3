"""A long live run under CPU load: xruns, lost frames, missed windows, growth of memory.

    python bench/soak.py [--minutes 10] [--model htdemucs_mini] [--hogs 1] [--latency SECONDS]

A PulseAudio of its own (no sound card is needed) loops a null sink's monitor through the model to
another sink, while ``--hogs`` other processes compute without a pause. Memory is the resident set
of this process, from the second minute on, when all that is made once has been made. Growth is
that of a straight line through the samples, since single ones jump by what allocators keep.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np

from streamer.live.devices.portaudio import PortAudioBackend
from streamer.live.session import open_session
from streamer.live.settings import LiveSettings
from streamer.resolve import resolve

SERVERS = Path(__file__).parent.parent / "tests" / "live" / "support" / "servers.py"
PAGE_MB = 4096 / 1e6
SAMPLE_SECONDS = 5.0
SETTLE_SECONDS = 60.0


def load_servers() -> ModuleType:
    """The tests' sound servers; tests is no package that could be imported."""
    spec = importlib.util.spec_from_file_location("servers", SERVERS)
    servers = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = servers
    spec.loader.exec_module(servers)
    return servers


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


def soak(settings: LiveSettings, seconds: float) -> None:
    samples: list[tuple[float, float]] = []
    with open_session(settings, PortAudioBackend(), tell=print) as session:
        session.start()
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            session.wait(SAMPLE_SECONDS)
            samples.append((passed, resident_mb()))
            print(f"{passed:6.0f} s  {samples[-1][1]:8.2f} MB  {session.status().load:.0%}")
    status, latency = session.status(), session.latency()
    settled = np.array([sample for sample in samples if sample[0] >= SETTLE_SECONDS])
    slope = np.polyfit(*settled.T, 1)[0] if len(settled) > 2 else float("nan")
    print(
        f"played {status.played_frames / status.samplerate:.0f} s at {status.delay_seconds:.3f} s"
    )
    print(f"xruns {status.xruns}, frames dropped {status.dropped_frames}")
    print(
        f"missed windows {status.deadline_misses} of {latency.windows}, gaps {status.device_losses}"
    )
    print(f"memory {settled[-1][1]:.1f} MB, growth {slope * (seconds - SETTLE_SECONDS):.2f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--model", default="htdemucs_mini")
    parser.add_argument("--hogs", type=int, default=1)
    parser.add_argument("--latency", type=float)
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    hog = [sys.executable, "-c", "while True: sum(range(10000))"]
    hogs = [subprocess.Popen(hog) for _ in range(given.hogs)]
    try:
        with load_servers().pulse() as server:
            os.environ.update(server.environment)
            flags = {
                "model": given.model,
                "input": "source",
                "output": ["wide"],
                "latency": given.latency,
                "record": given.record,
            }
            soak(resolve(flags, kind=LiveSettings).settings, given.minutes * 60)
    finally:
        for one in hogs:
            one.kill()


if __name__ == "__main__":
    main()
