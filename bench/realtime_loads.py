"""What else a machine does while `realtime.py` listens to a run."""

from __future__ import annotations

import ctypes
import io
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console

from cli.picture import picture
from streamer.live.control.remote import Remote
from streamer.live.session import LiveSession
from streamer.live.telemetry.metrics import RunCollector
from streamer.live.telemetry.metrics_server import MetricsServer

LOADS = ("none", "gil", "core", "remotes")
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


@contextmanager
def beside(name: str, session: LiveSession) -> Iterator[None]:
    """Have one of `LOADS` go on beside a run, until it is left."""
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
            metrics = MetricsServer(RunCollector(session.status, session.latency()), port=0)
            stack.enter_context(metrics)
            _process(stack, FLOOD, str(remote.address[1]))
            _process(stack, SCRAPE, metrics.url)
            _thread(over, SCREEN_SECONDS, lambda: _draw(session))
        yield


def _thread(over: threading.Event, pause_seconds: float, turn: Callable[[], object]) -> None:
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
