"""A hundred thousand device callbacks in real time: stems that were missing, and the delay heard.

    python bench/realtime.py [--callbacks 100000] [--models rt_mini rt_mini_fast] [--blocks 64 128]
                             [--devices virtual jack] [--loads none gil core remotes]
                             [--latency SECONDS] [--out FILE.jsonl]

Real music goes through a live run, block by block: at the pace of a sound card that is made of a
clock (``virtual``), or on JACK's dummy, with a server of its own for each run (``jack``). What
comes out is kept. All stems together are the song (``--conserve``), and silent where they are
missing. So each block with a hole, in which they are less than half there be it for a frame, is
heard and not told by the run. The delay is heard too, to the frame.

Meanwhile: nothing else (``none``); a thread of the same process that holds Python's lock for 60 ms
at a time (``gil``); another process that keeps one core busy (``core``); the status screen, OSC
messages without a pause and metrics at once (``remotes``). Each run is a process of its own.

All the while a bare thread on each core, of the highest priority, sees when the machine itself was
away (`realtime_machine`). A hole is the machine's where that was away for longer than the run's
spare time: the time that a hop has to be computed, less what 99 of 100 hops take. So it is
where the device itself called over half a block late: JACK loses a block then.

Beside what is heard stands what the run tells: late hops, and the share of time that was dry.

A row is told as soon as it is measured, on standard error, and with all its numbers in the file.
Ctrl-C ends it with a table of what there is.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from realtime_device import PacedBackend, PacedStream
from realtime_jack import JackCable
from realtime_loads import LOADS, beside
from realtime_machine import Stalls, longest, machines, times_away
from soak import load_servers
from whole_process import introduction, looped, markdown, parser, stempeg_song

from streamer.files import open_source
from streamer.live.devices.machine import backend_for
from streamer.live.session import LiveSession, open_session
from streamer.live.settings import LiveSettings
from streamer.live.telemetry.report import plain
from streamer.resolve import resolve

RATE = 44100
DEVICES = ("virtual", "jack")
AUDIBLE, PIECE = 1e-3, 16
NAMES = ("drums", "bass", "other", "vocals")
SONG_SECONDS = 60.0
SETTLE_SECONDS = 1.0
START_SECONDS = 8.0
"""About what a run takes beside its callbacks."""


@dataclass(frozen=True)
class Heard:
    """One run, as it was heard; times in seconds, ``began``, ``ended``, ``holes_at`` and
    ``late_calls_at`` on the monotonic clock.

    ``told_misses`` hops were missed as the run itself tells. ``spare_seconds`` is
    what 99 of 100 hops have left of their time.
    """

    announced_frames: int
    measured_frames: int
    callbacks: int
    told_misses: int
    told_dry_share: float
    xruns: int
    slowest_hop_seconds: float
    spare_seconds: float
    latest_callback_seconds: float
    cpu: float
    began: float
    ended: float
    holes_at: list[float]
    late_calls_at: list[float]


@dataclass(frozen=True)
class Row:
    """A run and its machine: of ``holed`` blocks ``machine`` are for the machine. A core was away
    for at most ``away_seconds``, and ``away_times`` for longer than the spare time.
    """

    device: str
    block: int
    meanwhile: str
    model: str
    holed: int
    machine: int
    away_seconds: float
    away_times: int
    bare_threads_real_time: bool
    heard: Heard

    def cells(self) -> list[str]:
        one = self.heard
        return [
            self.device,
            str(self.block),
            self.meanwhile,
            self.model,
            str(self.holed),
            str(self.machine),
            f"{one.callbacks:,}",
            f"{1e4 * (self.holed - self.machine) / one.callbacks:.1f}",
            f"{one.told_misses:,}",
            f"{one.told_dry_share:.2%}",
            f"{1e3 * one.latest_callback_seconds:.2f} ms",
            f"{1e3 * self.away_seconds:.2f} ms",
            str(self.away_times),
            f"{1e3 * one.spare_seconds:.2f} ms",
            f"{1e3 * one.slowest_hop_seconds:.2f} ms",
            f"{one.announced_frames} ({1e3 * one.announced_frames / RATE:.1f} ms)",
            str(one.measured_frames),
            str(one.xruns),
            f"{one.cpu:.0%}",
        ]


HEAD = ["device", "block", "meanwhile", "model", "blocks with a hole", "for the machine", "of",
        "others in 10,000", "late hops", "dry", "latest callback", "core away", "longer than spare",
        "spare", "slowest hop", "announced", "measured", "xruns", "CPU"]  # fmt: skip


def main() -> None:
    wish = _arguments()
    if wish.one:
        name, model, block = wish.devices[0], wish.models[0], wish.blocks[0]
        flags = {"model": model, "fallback": "silence", "conserve": True}
        flags["latency"] = wish.latency
        print(json.dumps(asdict(_hear(name, flags, block, wish.loads[0], wish.callbacks))))
        return
    print(introduction("stemstream"))
    kinds = list(itertools.product(wish.blocks, wish.loads, wish.devices, wish.models))
    seconds = sum(START_SECONDS + wish.callbacks * block / RATE for block, *_ in kinds)
    print(f"{len(kinds)} rows, about {seconds / 60:.0f} minutes", file=sys.stderr, flush=True)
    rows: list[list[str]] = []
    for sent in (signal.SIGINT, signal.SIGTERM):  # a job of a script ignores Ctrl-C
        signal.signal(sent, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        for block, load, device, model in kinds:
            row = _row(device, model, block, load, wish)
            if row is not None:
                rows.append(row.cells())
                print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    print(markdown(HEAD, rows))


def _row(device: str, model: str, block: int, load: str, wish: argparse.Namespace) -> Row | None:
    """Run once, in a process of its own, and watch the machine meanwhile; None: it failed."""
    words = [sys.executable, __file__, "--one", "--devices", device, "--models", model]
    words += ["--blocks", str(block), "--loads", load, "--callbacks", str(wish.callbacks)]
    words += [] if wish.latency is None else ["--latency", str(wish.latency)]
    environment = dict(os.environ)
    with ExitStack() as stack:
        if device == "jack":
            server = stack.enter_context(load_servers().jack(block, RATE, real_time=True))
            environment |= server.environment
        stalls = stack.enter_context(Stalls())
        told = _told(words, environment)
    if told is None:
        return None
    one = Heard(**json.loads(told.splitlines()[-1]))
    reach = one.announced_frames / RATE
    row = Row(
        device=device,
        block=block,
        meanwhile=load,
        model=model,
        holed=len(one.holes_at),
        machine=machines(
            np.array(one.holes_at),
            stalls.all[stalls.all[:, 1] >= one.spare_seconds],
            np.array(one.late_calls_at),
            reach,
        ),
        away_seconds=longest(stalls.all, one.began, one.ended),
        away_times=times_away(stalls.all, one.began, one.ended, one.spare_seconds),
        bare_threads_real_time=stalls.real_time,
        heard=one,
    )
    if wish.out is not None:
        with wish.out.open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")
    return row


def _told(words: list[str], environment: dict[str, str]) -> str | None:
    """Run a program to its end; return what it tells, or None where it fails.

    Ctrl-C is for this process, which ends that program and all that it started.
    """
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        told, _ = process.communicate()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return told if process.returncode == 0 else None


def _hear(device: str, flags: dict[str, Any], block: int, load: str, callbacks: int) -> Heard:
    """Run once, in this process."""
    with open_source(stempeg_song()) as source:
        song = np.ascontiguousarray(0.5 * looped(source, SONG_SECONDS))
    with ExitStack() as stack:
        session, sound = _opened(device, flags, block, callbacks, song, stack)
        wait_frames = round(SETTLE_SECONDS * RATE)
        settled = sound.done + wait_frames // block
        while sound.done < settled and not session.wait(0.05):
            pass
        before = session.status()
        used, began = _cpu_seconds(), time.monotonic()
        with beside(load, session):
            while sound.done < callbacks and not session.wait(0.2):
                pass
        used, ended = _cpu_seconds() - used, time.monotonic()
        after = session.status()
        report, spare_seconds = plain(session.report()), session.plan.budget_seconds
    done = sound.done
    heard, woke = sound.heard[: done * block], _woke(sound, done, block)
    delay, loop_frames = delay_of(song, heard, settled * block), block if device == "jack" else 0
    inference = report["stages"]["inference"]
    late = np.diff(woke[settled:]) - block / RATE
    return Heard(
        announced_frames=report["announced_delay_frames"],
        measured_frames=delay - loop_frames,
        callbacks=done - settled,
        told_misses=after.deadline_misses - before.deadline_misses,
        told_dry_share=(after.dry_frames - before.dry_frames)
        / (after.played_frames - before.played_frames),
        xruns=after.xruns - before.xruns,
        slowest_hop_seconds=inference["max_seconds"],
        spare_seconds=max(0.0, spare_seconds - inference["p99_seconds"]),
        latest_callback_seconds=float(late.max()),
        cpu=used / (ended - began),
        began=float(woke[settled]),
        ended=float(woke[-1]),
        holes_at=woke[holed_blocks(song, heard, delay, settled, block)].tolist(),
        late_calls_at=woke[settled + 1 :][late > 0.5 * block / RATE].tolist(),
    )


def _opened(
    device: str,
    flags: dict[str, Any],
    block: int,
    callbacks: int,
    song: np.ndarray,
    stack: ExitStack,
) -> tuple[LiveSession, JackCable | PacedStream]:
    """Begin a run, and the sound that goes through it."""
    if device == "virtual":
        routes = [*(f"{stem}=1,2" for stem in NAMES), "mix=3,4"]
        flags = flags | {"blocksize": block, "route": routes, "output_channels": 4}
        settings = resolve(flags, kind=LiveSettings).settings
        backend = PacedBackend(song, RATE, callbacks)
        session = stack.enter_context(open_session(settings, backend))
        session.start()
        return session, backend.stream
    flags = flags | {"input": "jack", "output": ["jack"], "connect": False}
    settings = resolve(flags, kind=LiveSettings).settings
    session = stack.enter_context(open_session(settings, backend_for(settings)))
    session.start()
    cable = JackCable(song, callbacks)
    stack.callback(cable.close)
    cable.plug("stemstream", NAMES)
    return session, cable


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _woke(sound: JackCable | PacedStream, done: int, block: int) -> np.ndarray:
    """Return when each block came, on the monotonic clock."""
    if isinstance(sound, JackCable):
        return sound.woke[:done]
    due = sound.began_seconds + np.arange(1, done + 1) * block / RATE
    return due + sound.lateness[:done]


def holed_blocks(song: np.ndarray, heard: np.ndarray, delay: int, begin: int, block: int) -> Any:
    """Return the numbers of the blocks, from one on, in which stems are less than half there.

    Power is looked at in pieces of 16 frames, since JACK may bring a block twice after an xrun.
    """
    frames = np.arange(begin * block, len(heard) // block * block)
    there, stems = (
        np.sqrt((samples.reshape(-1, PIECE) ** 2).mean(axis=1))
        for samples in (song[(frames - delay) % len(song), 0], heard[frames, 0])
    )
    holes = (there > AUDIBLE) & (stems < 0.5 * there)
    return begin + np.flatnonzero(holes.reshape(-1, block // PIECE).any(axis=1))


def delay_of(song: np.ndarray, heard: np.ndarray, begin: int = 2 * RATE) -> int:
    """Return after how many frames the song comes out: the shift at which both are the same."""
    count = 8192
    wanted = heard[begin : begin + count, 2]
    there = np.take(song[:, 0], np.arange(begin - RATE, begin + count), mode="wrap")
    size = 1 << int(np.ceil(np.log2(len(there) + count)))
    found = np.fft.irfft(np.fft.rfft(there, size) * np.conj(np.fft.rfft(wanted, size)))
    return RATE - int(np.argmax(found[: RATE + 1]))


def _arguments() -> argparse.Namespace:
    wish = parser(__doc__)
    wish.add_argument("--callbacks", type=int, default=100_000)
    wish.add_argument("--models", nargs="+", default=["rt_mini", "rt_mini_fast"])
    wish.add_argument("--blocks", nargs="+", type=int, default=[64, 128])
    wish.add_argument("--devices", nargs="+", choices=DEVICES, default=DEVICES)
    wish.add_argument("--loads", nargs="+", choices=LOADS, default=LOADS)
    wish.add_argument("--latency", type=float, help="what each run promises")
    wish.add_argument("--out", type=Path, help="a file that gets a line of JSON for each row")
    wish.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return wish.parse_args()


if __name__ == "__main__":
    main()
