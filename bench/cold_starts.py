"""Cold starts of `stemstream live` on real sound servers: whether stems play, for how long not.

    python bench/cold_starts.py [--starts 30] [--seconds 60] [--models rt_mini htdemucs_mini]
                                [--servers pulse jack] [--backend torch]

Each start is a new server (PulseAudio with null sinks, or JACK's dummy) and a new process. Another
program plays real music into its input and records its outputs. All stems go to outputs 1 and 2
with ``--fallback silence``, the mix to 3 and 4: where the mix sounds and the stems do not, a stem
was missing. That is heard by the other program, not told by the run; what the run tells stands
beside it.

Needs: apt install pulseaudio pulseaudio-utils libasound2-plugins jackd2 jack-example-tools.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from soak import load_servers
from whole_process import command, introduction, loop_song, markdown, parser, stempeg_song

BLOCK_SECONDS = 0.02
SOUNDS, SILENT = 1e-3, 1e-5  # RMS of a block
LEAD_SECONDS = 20.0
START_SECONDS = 120.0
# A program on JACK that plays a file into the run and records what comes out.
JACK_PROGRAM = """
import sys, threading
import numpy as np, sounddevice, soundfile
song, _ = soundfile.read(sys.argv[1], dtype="float32")
at, out = 0, open(sys.argv[2], "wb")
def callback(heard, played, frames, times, flags):
    global at
    out.write(heard.tobytes())
    part = song[at : at + frames]
    played[: len(part)], played[len(part) :], at = part, 0, (at + frames) % (len(song) - frames)
with sounddevice.Stream(48000, device="system", channels=2, dtype="float32", callback=callback):
    print("here", flush=True)
    sys.stdin.read()
out.close()
"""


def main() -> None:
    wish = _arguments()
    servers = load_servers()
    # a program in the background of a script ignores Ctrl-C, and so would those it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(introduction("stemstream", "torch", "openvino"))
    rows = []
    with tempfile.TemporaryDirectory(prefix="stem") as folder:
        song = Path(folder) / "song.wav"
        loop_song(stempeg_song(), wish.seconds + LEAD_SECONDS, song)
        subprocess.run(["sox", song, "-r", "48000", song.with_stem("resampled")], check=True)
        kinds = [(model, name) for model in wish.models for name in wish.servers]
        for index in range(wish.starts):
            model, name = kinds[index % len(kinds)]
            told = _start(servers, model, name, song.with_stem("resampled"), wish)
            rows.append([str(index + 1), model, name, *told])
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    head = ["start", "model", "server", "exit", "running after", "delay", "stems from", "silent",
            "late", "xruns", "load"]  # fmt: skip
    print(markdown(head, rows))


def _start(servers: Any, model: str, name: str, song: Path, wish: argparse.Namespace) -> list[str]:
    """One cold start; return what was heard and told of it."""
    folder = song.parent
    report, heard = folder / "report.json", folder / "heard"
    report.unlink(missing_ok=True)
    with getattr(servers, name)() as server:
        devices = ("source", "wide") if name == "pulse" else ("system", "system")
        words = [command("stemstream"), "live", "-n", model]
        words += ["--input", devices[0], "--output", devices[1], "--fallback", "silence"]
        for stem in ("drums", "bass", "other", "vocals"):
            words += ["--route", f"{stem}=1,2"]
        words += ["--route", "mix=3,4", "--report", str(report)]
        words += [] if wish.backend is None else ["--backend", wish.backend]
        environment = os.environ | server.environment
        with _music(servers, server, name, song, heard, environment):
            began = time.monotonic()
            run = subprocess.Popen(
                words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            assert run.stderr is not None
            for line in run.stderr:
                if line.startswith("running"):
                    break
            running_seconds = time.monotonic() - began
            if name == "jack" and run.poll() is None:
                _connect(server)
            time.sleep(wish.seconds)
            run.send_signal(signal.SIGINT)
            _, complaint = run.communicate(timeout=START_SECONDS)
    if not report.exists():
        return [str(run.returncode), complaint.strip().splitlines()[-1][:80], *["-"] * 6]
    status = json.loads(report.read_text())
    layout = (servers.WIDE_CHANNELS, 0, 2) if name == "pulse" else (2, 0, 1)
    first, silent = _silence(heard, servers.RATE, *layout)
    return [
        str(run.returncode),
        f"{running_seconds:.2f} s",
        f"{1000 * status['announced_delay_seconds']:.0f} ms",
        f"{first:.2f} s",
        f"{silent:.2f} s",
        str(status["deadline_misses"]),
        str(status["xruns"]),
        f"{status['rtf']:.0%}",
    ]


@contextmanager
def _music(
    servers: Any, server: Any, name: str, song: Path, heard: Path, environment: dict[str, str]
) -> Iterator[None]:
    """Play the song into the server, and record what comes out of it."""
    if name == "pulse":
        player = subprocess.Popen(["paplay", "--device=source", song], env=environment)
        try:
            with server.recording("wide.monitor", heard, servers.WIDE_CHANNELS):
                yield
        finally:
            player.terminate()
            player.wait()
        return
    program = subprocess.Popen(
        [sys.executable, "-c", JACK_PROGRAM, song, heard],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert program.stdout is not None
    if not program.stdout.readline():
        raise SystemExit("the program that plays on JACK did not start")
    try:
        yield
    finally:
        program.communicate()


def _connect(server: Any) -> None:
    """Put the program in place of JACK's silent system ports: its ports were there first."""
    ports = (server.call("jack_lsp") or "").split()
    clients = sorted({one.partition(":")[0] for one in ports if one.startswith("PortAudio")})
    ours, run = clients[0], clients[1:]
    for port in ports:
        client, _, own = port.partition(":")
        if client not in run:
            continue
        kind, _, number = own.rpartition("_")
        if kind == "in" and int(number) < 2:
            server.call("jack_connect", f"{ours}:out_{number}", port)
        elif kind == "out" and number in ("0", "2"):  # a channel of the stems, one of the mix
            server.call("jack_connect", port, f"{ours}:in_{int(number) // 2}")


def _silence(heard: Path, rate: int, channels: int, stem: int, mix: int) -> tuple[float, float]:
    """Return when the stems began after the mix, and how long they were missing after that.

    ``stem`` and ``mix`` are the channels of the recording that are listened to.
    """
    samples = np.fromfile(heard, np.float32)
    samples = samples[: len(samples) // channels * channels].reshape(-1, channels)
    frames = round(BLOCK_SECONDS * rate)
    blocks = samples[: len(samples) // frames * frames].reshape(-1, frames, channels)
    rms = np.sqrt(np.mean(blocks**2, axis=1))
    stems_sound, mix_sounds = rms[:, stem] > SILENT, rms[:, mix] > SOUNDS
    both = stems_sound & mix_sounds
    if not both.any():
        return float("nan"), float(mix_sounds.sum() * BLOCK_SECONDS)
    begin, first = int(np.argmax(mix_sounds)), int(np.argmax(both))
    missing = int((mix_sounds[first:] & ~stems_sound[first:]).sum())
    return (first - begin) * BLOCK_SECONDS, missing * BLOCK_SECONDS


def _arguments() -> argparse.Namespace:
    wish = parser(__doc__)
    wish.add_argument("--starts", type=int, default=30)
    wish.add_argument("--seconds", type=float, default=60.0)
    wish.add_argument("--models", nargs="+", default=["rt_mini", "htdemucs_mini"])
    wish.add_argument("--servers", nargs="+", default=["pulse", "jack"])
    wish.add_argument("--backend")
    return wish.parse_args()


if __name__ == "__main__":
    main()
