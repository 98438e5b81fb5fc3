"""A hundred thousand device callbacks in real time: stems that were missing, and the delay heard.

    python bench/realtime.py [--callbacks 100000] [--models rt_mini] [--blocks 64 128]
                             [--loads none gil core remotes]

Real music goes through a live run, block by block at the pace of a sound card, and what comes out
is kept. The stems go to outputs 1 and 2 and are silent where they are missing, the mix goes to 3
and 4: so each miss is heard, and not told by the run. The delay is that of the mix, to the frame.

Meanwhile: nothing else (``none``); a thread of the same process that holds Python's lock for 60 ms
at a time (``gil``); another process that keeps one core busy (``core``); the status screen, OSC
messages without a pause and metrics at once (``remotes``). Each run is a process of its own.
"""

from __future__ import annotations

import argparse
import ctypes
import io
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass

import numpy as np
from realtime_device import PacedBackend
from rich.console import Console
from whole_process import introduction, looped, markdown, parser, stempeg_song

from cli.picture import picture
from streamer.files import open_source
from streamer.live.control.remote import Remote
from streamer.live.session import LiveSession, open_session
from streamer.live.settings import LiveSettings
from streamer.live.telemetry.metrics import MetricsServer
from streamer.live.telemetry.report import plain
from streamer.resolve import resolve

RATE = 44100
LOADS = ("none", "gil", "core", "remotes")
SONG_SECONDS = 60.0
SETTLE_SECONDS = 1.0
HOLD_MICROSECONDS, GO_SECONDS = 60_000, 0.005
SCREEN_SECONDS = 0.1
FLOOD = """
import itertools, socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
gain = b"/master/gain\\0\\0\\0\\0,f\\0\\0" + bytes(4)
for message in itertools.cycle([gain, b"/status\\0,\\0\\0\\0"]):
    sender.sendto(message, ("127.0.0.1", int(sys.argv[1])))
"""
SCRAPE = """
import sys, urllib.request
while True:
    urllib.request.urlopen(sys.argv[1]).read()
"""
BUSY = "while True: pass"


@dataclass(frozen=True)
class Heard:
    """One run, as it was heard: times in milliseconds, ``missing`` blocks of ``callbacks``."""

    announced_frames: int
    measured_frames: int
    callbacks: int
    missing: int
    told_misses: int
    slowest_hop: float
    latest_callback: float
    callback_p999: float
    cpu: float


def main() -> None:
    wish = _arguments()
    if wish.one:
        print(json.dumps(asdict(_hear(wish.models[0], wish.blocks[0], wish.loads[0], wish))))
        return
    print(introduction("stemstream"))
    rows = []
    for model in wish.models:
        for block in wish.blocks:
            for load in wish.loads:
                rows.append(_row(model, block, load, wish.callbacks))
                print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    head = ["model", "block", "meanwhile", "without stems", "of blocks", "announced", "measured",
            "slowest hop", "latest callback", "callback p99.9", "CPU"]  # fmt: skip
    print(markdown(head, rows))


def _row(model: str, block: int, load: str, callbacks: int) -> list[str]:
    words = [sys.executable, __file__, "--one", "--models", model, "--blocks", str(block)]
    words += ["--loads", load, "--callbacks", str(callbacks)]
    told = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    one = Heard(**json.loads(told.splitlines()[-1]))
    return [
        model,
        str(block),
        load,
        str(one.missing),
        str(one.callbacks),
        f"{one.announced_frames} ({1000 * one.announced_frames / RATE:.1f} ms)",
        str(one.measured_frames),
        f"{one.slowest_hop:.2f} ms",
        f"{one.latest_callback:.2f} ms",
        f"{one.callback_p999:.3f} ms",
        f"{one.cpu:.0%}",
    ]


def _hear(model: str, block: int, load: str, wish: argparse.Namespace) -> Heard:
    """Run once, in this process."""
    with open_source(stempeg_song()) as source:
        song = np.ascontiguousarray(0.5 * looped(source, SONG_SECONDS))
    backend = PacedBackend(song, RATE, wish.callbacks)
    flags = {
        "model": model,
        "blocksize": block,
        "fallback": "silence",
        "route": [*(f"{stem}=1,2" for stem in ("drums", "bass", "other", "vocals")), "mix=3,4"],
        "output_channels": 4,
    }
    settings = resolve(flags, kind=LiveSettings).settings
    with open_session(settings, backend) as session:
        session.start()
        stream = backend.stream
        used, began = _cpu_seconds(), time.monotonic()
        with _load(load, session):
            while stream.done < wish.callbacks and not session.wait(0.2):
                pass
        used, lasted = _cpu_seconds() - used, time.monotonic() - began
        status, report = session.status(), plain(session.report())
    heard = stream.heard[: stream.done * block]
    settled = round(SETTLE_SECONDS * RATE) // block
    return Heard(
        announced_frames=status.delay_frames,
        measured_frames=_delay(song, heard),
        callbacks=stream.done - settled,
        missing=_missing(heard[settled * block :], block),
        told_misses=report["deadline_misses"],
        slowest_hop=1000 * (report["stages"]["inference"]["max_seconds"] or 0),
        latest_callback=1000 * float(stream.lateness[settled : stream.done].max()),
        callback_p999=1000 * float(np.quantile(stream.spent[settled : stream.done], 0.999)),
        cpu=used / lasted,
    )


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _missing(heard: np.ndarray, block: int) -> int:
    """Return in how many blocks the mix sounds and the stems do not."""
    blocks = np.abs(heard[: len(heard) // block * block]).reshape(-1, block, 4).max(axis=1)
    return int(((blocks[:, 0] == 0) & (blocks[:, 2] > 0)).sum())


def _delay(song: np.ndarray, heard: np.ndarray) -> int:
    """Return after how many frames the mix comes out: the shift at which both are the same."""
    begin, count = 2 * RATE, 8192
    wanted = heard[begin : begin + count, 2]
    there = np.take(song[:, 0], np.arange(begin - RATE, begin + count), mode="wrap")
    size = 1 << int(np.ceil(np.log2(len(there) + count)))
    found = np.fft.irfft(np.fft.rfft(there, size) * np.conj(np.fft.rfft(wanted, size)))
    return RATE - int(np.argmax(found[: RATE + 1]))


@contextmanager
def _load(name: str, session: LiveSession) -> Iterator[None]:
    with ExitStack() as stack:
        over = threading.Event()
        stack.callback(over.set)
        if name == "gil":
            held = ctypes.PyDLL(None).usleep  # PyDLL keeps the lock
            _thread(over, GO_SECONDS, lambda: held(HOLD_MICROSECONDS))
        elif name == "core":
            _process(stack, BUSY)
        elif name == "remotes":
            remote = stack.enter_context(Remote(session, session.status, port=0))
            metrics = MetricsServer(session.status, session.latency(), port=0)
            stack.enter_context(metrics)
            _process(stack, FLOOD, str(remote.address[1]))
            _process(stack, SCRAPE, metrics.url)
            _thread(over, SCREEN_SECONDS, lambda: _draw(session))
        yield


def _thread(over: threading.Event, pause_seconds: float, turn) -> None:
    def run() -> None:
        while not over.wait(pause_seconds):
            turn()

    threading.Thread(target=run, daemon=True).start()


def _process(stack: ExitStack, program: str, *words: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", program, *words], stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.kill)


def _draw(session: LiveSession) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=100, height=30)
    state = session.mixer.state
    for line in picture(session.status(), state, next(iter(state.stems)), "", (), screen.size):
        screen.print(line)


def _arguments() -> argparse.Namespace:
    wish = parser(__doc__)
    wish.add_argument("--callbacks", type=int, default=100_000)
    wish.add_argument("--models", nargs="+", default=["rt_mini"])
    wish.add_argument("--blocks", nargs="+", type=int, default=[64, 128])
    wish.add_argument("--loads", nargs="+", choices=LOADS, default=LOADS)
    wish.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return wish.parse_args()


if __name__ == "__main__":
    main()
