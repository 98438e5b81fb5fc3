"""Fifty browsers that move faders, beside a live run: what the sound and the browsers notice.

    python bench/page.py [--where paced pulse] [--seconds 30] [--rounds 2] [--clients 50]
                         [--model rt_mini]

The browsers are another process (`page_browsers.py`). In one run the page is without browsers and
with all of them in turn, ``--rounds`` times, for ``--seconds`` each.

``paced`` is a clock in place of a sound card (see `realtime_device.py`), and plays real music:
there each callback is timed, a block without stems is heard, and so is the master when a browser
switches it. ``pulse`` is a PulseAudio of its own with null sinks, into one of which the music
plays; xruns and missed windows are those that the run counts. Each is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from page_browsers import p50_and_p99
from realtime import RATE, SONG_SECONDS, delay_of
from realtime_device import PacedBackend, PacedStream
from soak import load_servers
from whole_process import introduction, loop_song, looped, markdown, parser, stempeg_song

from streamer.files import open_source
from streamer.live.control.page.server import PageServer, PageSettings
from streamer.live.devices.portaudio import PortAudioBackend
from streamer.live.session import LiveSession, open_session
from streamer.live.settings import LiveSettings
from streamer.resolve import resolve

BLOCK = 128
SETTLE_SECONDS = 5.0
COME_SECONDS = 10.0
"""At most so long the browsers take to come."""
HEARD_SECONDS = 0.25
BROWSERS = Path(__file__).with_name("page_browsers.py")


@dataclass
class Turn:
    """What was counted in one stretch of a run: from ``begin`` to ``end`` in blocks, if paced."""

    clients: int
    begin: int = 0
    end: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    xruns: int = 0
    missed: int = 0
    windows: int = 0
    dry_frames: int = 0
    played_frames: int = 0
    callback_p999: float | None = None
    without_stems: int | None = None
    heard: list[float] = field(default_factory=list)
    browsers: dict[str, object] = field(default_factory=dict)


def main() -> None:
    wish = _arguments()
    if wish.one:
        turns = _paced(wish) if wish.where == ["paced"] else _pulse(wish)
        print(json.dumps([vars(one) for one in turns]))
        return
    print(introduction("stemstream"))
    rows = []
    for where in wish.where:
        words = [sys.executable, __file__, "--one", "--where", where, "--model", wish.model]
        for name in ("clients", "seconds", "rounds"):
            words += [f"--{name}", str(getattr(wish, name))]
        told = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
        turns = [Turn(**one) for one in json.loads(told.splitlines()[-1])]
        for clients in (0, wish.clients):
            rows.append(_row(where, clients, [one for one in turns if one.clients == clients]))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    head = ["device", "browsers", "xruns", "missed windows", "dry", "blocks without stems",
            "callback p99.9", "CPU", "meters a second: least, median", "fader seen: p50, p99",
            "fader heard: p50, p99", "messages a second"]  # fmt: skip
    print(markdown(head, rows))


def _row(where: str, clients: int, turns: list[Turn]) -> list[str]:
    def total(name: str) -> float:
        return sum(getattr(one, name) or 0 for one in turns)

    paced = where == "paced"
    callback = max((one.callback_p999 or 0.0 for one in turns), default=0.0)
    found = [one.browsers for one in turns if one.browsers]
    waits = [wait for one in found for wait in one["waits"]]
    heard = [wait for one in turns for wait in one.heard]
    return [
        where,
        str(clients),
        str(total("xruns")),
        f"{total('missed')} of {total('windows')}",
        f"{total('dry_frames') / max(total('played_frames'), 1):.2%}",
        f"{total('without_stems')} of {sum(one.end - one.begin for one in turns)}" if paced else "",
        f"{callback * RATE / BLOCK:.2%} of a block" if paced else "",
        f"{total('cpu_seconds') / total('seconds'):.0%}",
        ", ".join(f"{min(one[name] for one in found):.1f}" for name in METERS) if found else "",
        _milliseconds(waits),
        _milliseconds(heard),
        f"{np.mean([one['messages'] for one in found]):.0f}" if found else "",
    ]


METERS = ("meters_least", "meters_median")


def _milliseconds(waits: list[float]) -> str:
    return ", ".join(f"{1000 * one:.1f} ms" for one in p50_and_p99(waits)) if waits else ""


def _paced(wish: argparse.Namespace) -> list[Turn]:
    """Run on the clock; return what was counted and heard in each turn."""
    with open_source(stempeg_song()) as source:
        song = np.ascontiguousarray(0.5 * looped(source, SONG_SECONDS))
    lasts = SETTLE_SECONDS + 2 * wish.rounds * (wish.seconds + COME_SECONDS)
    backend = PacedBackend(song, RATE, round(lasts * RATE / BLOCK))
    flags = {
        "model": wish.model,
        "blocksize": BLOCK,
        "fallback": "silence",
        "route": [*(f"{stem}=1,2" for stem in ("drums", "bass", "other", "vocals")), "mix=3,4"],
        "output_channels": 4,
    }
    with open_session(resolve(flags, kind=LiveSettings).settings, backend) as session:
        session.start()
        turns = _take_turns(session, wish, lambda: backend.stream.done)
        stream, done = backend.stream, backend.stream.done
    gains = _gains(song, stream.heard[: done * BLOCK])
    for one in turns:
        one.callback_p999 = float(np.quantile(stream.spent[one.begin : one.end], 0.999))
        heard = stream.heard[one.begin * BLOCK : one.end * BLOCK]
        one.without_stems = _dry_blocks(heard)
        one.heard = _heard(stream, gains, one.browsers.get("switches", []))
    return turns


def _pulse(wish: argparse.Namespace) -> list[Turn]:
    """Run on a PulseAudio of its own, with the song in its first sink."""
    lasts = 60 + SETTLE_SECONDS + 2 * wish.rounds * (wish.seconds + COME_SECONDS)
    with load_servers().pulse() as pulse, tempfile.TemporaryDirectory() as folder:
        os.environ.update(pulse.environment)
        loop_song(stempeg_song(), lasts, Path(folder, "song.wav"))
        play = ["paplay", "--device=source", f"{folder}/song.wav"]
        with subprocess.Popen(play) as player, ExitStack() as stack:
            stack.callback(player.terminate)
            flags = {"model": wish.model, "input": "source", "output": ("wide",)}
            settings = resolve(flags, kind=LiveSettings).settings
            with open_session(settings, PortAudioBackend()) as session:
                session.start()
                turns = _take_turns(session, wish, lambda: 0)
    return turns


def _take_turns(
    session: LiveSession, wish: argparse.Namespace, blocks: Callable[[], int]
) -> list[Turn]:
    """Let a run play, with and without browsers; return what was counted in each turn."""
    turns = []
    with PageServer(session, session.status, PageSettings(0), print) as page:
        session.wait(SETTLE_SECONDS)
        for clients in (0, wish.clients) * wish.rounds:
            one = Turn(clients, begin=blocks())
            before, windows = session.status(), session.latency().windows
            used, began = _cpu_seconds(), time.monotonic()
            if clients:
                words = [page.address[1], clients, wish.seconds]
                one.browsers = _browse(*map(str, words))
            else:
                session.wait(wish.seconds)
            after = session.status()
            one.seconds, one.cpu_seconds = time.monotonic() - began, _cpu_seconds() - used
            one.end = blocks()
            one.xruns = after.xruns - before.xruns
            one.missed = after.deadline_misses - before.deadline_misses
            one.windows = session.latency().windows - windows
            one.dry_frames = after.dry_frames - before.dry_frames
            one.played_frames = after.played_frames - before.played_frames
            turns.append(one)
    return turns


def _browse(*words: str) -> dict[str, object]:
    told = subprocess.run([sys.executable, BROWSERS, *words], check=True, stdout=subprocess.PIPE)
    return json.loads(told.stdout)


def _dry_blocks(heard: np.ndarray) -> int:
    blocks = np.abs(heard).reshape(-1, BLOCK, 4).max(axis=1)
    return int(((blocks[:, 0] == 0) & (blocks[:, 2] > 0)).sum())


def _gains(song: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """Return with which gain the mix is heard in each block; nan where there is next to none."""
    delay = delay_of(song, heard)
    there = song[(np.arange(len(heard)) - delay) % len(song), 0].reshape(-1, BLOCK)
    power = (there**2).sum(axis=1)
    found = (there * heard[:, 2].reshape(-1, BLOCK)).sum(axis=1) / np.maximum(power, 1e-12)
    return np.where(power > 1e-6 * BLOCK, found, np.nan)


def _heard(stream: PacedStream, gains: np.ndarray, switches: list[list[float]]) -> list[float]:
    """Return how long each switch of the master took until a callback had played the new level."""
    called = (np.arange(len(gains)) + 1) * BLOCK / RATE + stream.began_seconds
    called += stream.lateness[: len(gains)]
    most = round(HEARD_SECONDS * RATE / BLOCK)
    waits = []
    for at, level_db in switches:
        first = int(np.searchsorted(called, at))
        there = np.abs(gains[first : first + most] - 10 ** (level_db / 20)) < 0.05
        if there.any() and not np.isnan(gains[first : first + most]).any():
            waits.append(float(called[first + np.argmax(there)] - at))
    return waits


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _arguments() -> argparse.Namespace:
    wish = parser(__doc__)
    wish.add_argument("--where", nargs="+", choices=("paced", "pulse"), default=["paced", "pulse"])
    wish.add_argument("--seconds", type=float, default=30.0)
    wish.add_argument("--rounds", type=int, default=2)
    wish.add_argument("--clients", type=int, default=50)
    wish.add_argument("--model", default="rt_mini")
    wish.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return wish.parse_args()


if __name__ == "__main__":
    main()
