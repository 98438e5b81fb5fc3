"""What a large library costs: worker hours and days, where machines are lost in the middle.

    python bench/million.py [--songs 1000000] [--minutes 3.5] [--quick]

Nothing is separated. Songs (lengths as of pop music: log-normal) are dealt out to simulated workers
as `stemstream batch --engine ray` does it: the next song to the next free worker. A machine's life
is drawn anew each time (exponential, as for spot machines); what its workers had in hand is lost,
and begun again at the end of the queue. A song that is lost three times is given up. A new machine
comes after some minutes. ``--speed`` is a worker's: seconds of music a second, as measured with
bench/throughput.py or told by `stemstream batch` itself. A minute for a million songs.
"""

from __future__ import annotations

import argparse
import heapq
from collections import deque
from dataclasses import dataclass

import numpy as np
from whole_process import introduction, markdown, parser

from streamer.batch.job import MOST_TRIES

SPREAD = 0.4
"""Deviation of the logarithm of a song's length: two thirds are within
0.67 and 1.5 times the middle."""


@dataclass
class Cost:
    """What a library took."""

    wall_hours: float
    worker_hours: float
    machines_lost: int
    begun_again: int
    given_up: int


def main() -> None:
    wish = _arguments()
    print(introduction("stemstream"))
    songs = 20_000 if wish.quick else wish.songs
    draw = np.random.default_rng(wish.seed)
    seconds = 60 * wish.minutes * draw.lognormal(-(SPREAD**2) / 2, SPREAD, songs)
    rows = []
    for speed in wish.speed:
        for life in wish.life:
            cost = Fleet(seconds / speed + wish.a_song, life, wish).run()
            cells = [f"{speed:g}x", f"{life:g} h" if life else "stay"]
            cells += [f"{cost.worker_hours:,.0f}", f"{cost.wall_hours / 24:.1f}"]
            cells += [f"{cost.machines_lost:,}", f"{cost.begun_again:,}", f"{cost.given_up:,}"]
            rows.append(cells)
    head = ["speed of a worker", "machines last", "worker hours", "days", "machines lost"]
    head += ["songs begun again", "given up"]
    workers = wish.machines * wish.workers
    music = f"{songs:,} songs of {wish.minutes:g} min, {seconds.sum() / 3600:,.0f} h of music"
    print(f"{music}; {wish.machines} machines with {wish.workers} workers each: {workers}\n")
    print(markdown(head, rows))


class Fleet:
    """Machines that come and go, and the songs that their workers have.

    Events are ``(when, machine, which of its lives, what)``: the worker that is done, or
    ``ENDS`` or ``COMES``.
    """

    ENDS, COMES = -1, -2

    def __init__(self, took: np.ndarray, life_hours: float, wish: argparse.Namespace) -> None:
        self._took, self._life, self._wish = took, 3600 * life_hours, wish
        self._draw = np.random.default_rng(wish.seed)
        self._queue = deque(range(len(took)))
        self._tries = np.zeros(len(took), np.int8)
        self._lives = [0] * wish.machines
        self._in_hand: dict[tuple[int, int], tuple[int, float]] = {}
        self._idle: list[tuple[int, int, int]] = []
        self._events: list[tuple[float, int, int, int]] = []
        self.cost = Cost(0.0, 0.0, 0, 0, 0)

    def run(self) -> Cost:
        """Deal out the songs until none is left; return what it took."""
        now = 0.0
        for machine in range(self._wish.machines):
            self._begin(now, machine)
        while self._queue or self._in_hand:
            now, machine, life, what = heapq.heappop(self._events)
            if life != self._lives[machine]:
                continue
            if what == self.COMES:
                self._begin(now, machine)
            elif what == self.ENDS:
                self._end(now, machine)
            else:
                self._put_down(now, machine, what)
                self._give(now, machine, what)
        self.cost.wall_hours = now / 3600
        return self.cost

    def _begin(self, now: float, machine: int) -> None:
        if self._life:
            end = now + self._draw.exponential(self._life)
            heapq.heappush(self._events, (end, machine, self._lives[machine], self.ENDS))
        for worker in range(self._wish.workers):
            self._give(now, machine, worker)

    def _give(self, now: float, machine: int, worker: int) -> None:
        life = self._lives[machine]
        if not self._queue:
            self._idle.append((machine, life, worker))
            return
        song = self._queue.popleft()
        self._in_hand[machine, worker] = song, now
        heapq.heappush(self._events, (now + self._took[song], machine, life, worker))

    def _put_down(self, now: float, machine: int, worker: int) -> int:
        song, began = self._in_hand.pop((machine, worker))
        self.cost.worker_hours += (now - began) / 3600
        return song

    def _end(self, now: float, machine: int) -> None:
        self._lives[machine] += 1
        self.cost.machines_lost += 1
        for worker in range(self._wish.workers):
            if (machine, worker) in self._in_hand:
                song = self._put_down(now, machine, worker)
                self._tries[song] += 1
                if self._tries[song] < MOST_TRIES:
                    self.cost.begun_again += 1
                    self._queue.append(song)
                else:
                    self.cost.given_up += 1
        comes = now + 60 * self._wish.replaced
        heapq.heappush(self._events, (comes, machine, self._lives[machine], self.COMES))
        idle, self._idle = self._idle, []
        for other, life, worker in idle:
            if life == self._lives[other]:
                self._give(now, other, worker)


def _arguments() -> argparse.Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("--songs", type=int, default=1_000_000)
    arguments.add_argument("--minutes", type=float, default=3.5, help="mean length of a song")
    arguments.add_argument("--speed", type=float, nargs="+", default=[2.5, 3.6, 15.0])
    arguments.add_argument("--a-song", type=float, default=0.1, help="seconds beside the model")
    arguments.add_argument("--machines", type=int, default=16)
    arguments.add_argument("--workers", type=int, default=4, help="of each machine")
    arguments.add_argument("--life", type=float, nargs="+", default=[0.0, 24.0, 2.0, 0.25])
    arguments.add_argument("--replaced", type=float, default=5.0, help="minutes without a machine")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--quick", action="store_true", help="20,000 songs")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
