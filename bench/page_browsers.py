"""The browsers of `page.py`, in a process of their own: they move faders, and time what they see.

    python bench/page_browsers.py PORT CLIENTS SECONDS

Each moves one fader of the stems, ten times a second, by a value that nobody else sends. So whoever
is told of it knows how long it took. One browser more switches the master between two levels: when
is told at the end, to be held against the sound. What is counted is printed as JSON.

Phones have processors of their own. So all of them keep to one core here, and leave the others.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from statistics import median, quantiles

from websockets.asyncio.client import ClientConnection, connect

MOVE_SECONDS = 0.1
SWITCH_SECONDS = 0.25
LEVELS_DB = (0.0, -12.0)


class Room:
    """What all browsers have sent and seen. Times are those of the monotonic clock."""

    def __init__(self, port: int, clients: int, seconds: float) -> None:
        self.place, self.clients, self.seconds = f"127.0.0.1:{port}", clients, seconds
        self.there = asyncio.Barrier(clients + 1)
        self.sent: dict[tuple[str, float], tuple[int, float]] = {}
        self.switches: list[tuple[float, float]] = []
        self.waits: list[float] = []
        self.meters: list[int] = []
        self.messages = 0

    async def browse(self, number: int) -> None:
        """Be one browser, until the time is over; the last one has the master."""
        origin = f"http://{self.place}"
        async with connect(f"ws://{self.place}/control", origin=origin) as socket:
            writable = json.loads(await socket.recv())["writable"]
            faders = [one for one in writable if one.startswith("/stem/")]
            faders = [one for one in faders if one.endswith(("/gain", "/pan"))]
            await self.there.wait()
            last = number == self.clients
            sending = self.switch(socket) if last else self.move(socket, number, faders)
            moving = asyncio.create_task(sending)
            try:
                async with asyncio.timeout(self.seconds):
                    await self.read(socket, number)
            except TimeoutError:
                moving.cancel()

    async def move(self, socket: ClientConnection, number: int, faders: list[str]) -> None:
        fader = faders[number % len(faders)]
        while True:
            await asyncio.sleep(MOVE_SECONDS * random.uniform(0.5, 1.5))
            value = -random.random()
            self.sent[fader, value] = number, time.monotonic()
            await socket.send(json.dumps({"set": fader, "value": value}))

    async def switch(self, socket: ClientConnection) -> None:
        while True:
            for level_db in LEVELS_DB:
                await asyncio.sleep(SWITCH_SECONDS * random.uniform(0.8, 1.2))
                self.switches.append((time.monotonic(), level_db))
                await socket.send(json.dumps({"set": "/master/gain", "value": level_db}))

    async def read(self, socket: ClientConnection, number: int) -> None:
        place = len(self.meters)
        self.meters.append(0)
        async for text in socket:
            message, now = json.loads(text), time.monotonic()
            self.messages += 1
            self.meters[place] += message["type"] == "meters"
            for moved in message.get("values", {}).items():
                who, at = self.sent.get(moved, (number, 0.0))
                if who != number:
                    self.waits.append(now - at)


async def browse(port: int, clients: int, seconds: float) -> dict[str, object]:
    """Let all browsers be there at the same time; return what they counted."""
    room = Room(port, clients, seconds)
    async with asyncio.TaskGroup() as group:
        for number in range(clients + 1):
            group.create_task(room.browse(number))
    return {
        "meters_least": min(room.meters) / seconds,
        "meters_median": median(room.meters) / seconds,
        "messages": room.messages / seconds,
        "waits": sorted(room.waits)[:: max(1, len(room.waits) // 10_000)],
        "switches": room.switches,
    }


def p50_and_p99(values: list[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


if __name__ == "__main__":
    port, clients, seconds = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(json.dumps(asyncio.run(browse(int(port), int(clients), float(seconds)))))
