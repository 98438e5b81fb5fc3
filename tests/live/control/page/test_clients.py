"""What each page is sent, without sockets: the newest, in its own time, and made once for all."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the page is an extra: pip install 'stemstream[page]'")

from live.support.desk import Switch
from live.support.page import Band
from live.support.staging import begun, card, running, tone
from support.doubles import RATE

from streamer.live.control.page.clients import Client, Clients
from streamer.live.control.page.roles import DESK
from streamer.live.control.page.view import RunView
from streamer.live.mixing.scene_folder import SceneFolder
from streamer.live.status import State

GAIN = "/stem/vocals/gain"


class Reader:
    """A WebSocket whose other side reads as soon as it may."""

    def __init__(self, *, reads: bool = True) -> None:
        self.sent: list[str] = []
        self.may_read = asyncio.Event()
        if reads:
            self.may_read.set()

    async def send_text(self, data: str) -> None:
        await self.may_read.wait()
        self.sent.append(data)

    def read(self, kind: str) -> Iterator[Any]:
        return (one for one in map(json.loads, self.sent) if one["type"] == kind)


class Room:
    """A band, and the pages that are connected to it."""

    def __init__(self, folder: Path, patience_seconds: float = 5.0) -> None:
        self.band = Band(folder)
        view = RunView(self.band, self.band.status)
        self.clients = Clients(view, lambda _role: (), self.band.told.append, patience_seconds)
        self.tasks: list[asyncio.Task[None]] = []

    def join(self, reader: Reader) -> asyncio.Task[None]:
        client = self.clients.join(DESK)
        assert isinstance(client, Client)
        self.tasks.append(asyncio.create_task(self.clients.send(client, reader)))
        return self.tasks[-1]

    async def move(self, gains: range) -> None:
        for gain_db in gains:
            self.band.mixer.set_gain("vocals", gain_db)
            self.clients.look(float(-gain_db))
            await settled()

    def leave(self) -> None:
        for task in self.tasks:
            task.cancel()
        assert not self.band.told


def errors(clients: Clients, desk: Client, **message: object) -> list[str]:
    """The sentences that a page is answered with."""
    desk.outbox.take()
    asyncio.run(clients.receive(desk, json.dumps(message)))
    answers = map(json.loads, desk.outbox.take())
    return [one["sentence"] for one in answers if one["type"] == "error"]


async def settled() -> None:
    """Let every task do what it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_page_that_reads_slowly_makes_nobody_wait_and_gets_the_newest(tmp_path: Path) -> None:
    async def play() -> None:
        room, slow, quick = Room(tmp_path), Reader(reads=False), Reader()
        for reader in (slow, quick):
            room.join(reader)
            await settled()
        await room.move(range(-1, -51, -1))
        assert [one["values"][GAIN] for one in quick.read("values")] == [*range(-1, -51, -1)]
        assert len([*quick.read("meters")]) >= 50
        assert not slow.sent
        slow.may_read.set()
        await settled()
        assert [one["values"] for one in slow.read("values")] == [{GAIN: -50}]
        assert [*slow.read("meters")] == [*quick.read("meters")][-1:]
        room.leave()

    asyncio.run(play())


@pytest.mark.parametrize("slow", [{"set": "/record"}, {"act": "/scene/save"}], ids=str)
def test_a_disk_that_one_page_waits_for_holds_up_no_fader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: dict[str, str]
) -> None:
    disk, done = threading.Event(), []

    def waits(*_: object) -> None:
        assert disk.wait(10)
        done.append(True)

    async def play() -> None:
        monkeypatch.setattr(Switch, "switch", waits)
        monkeypatch.setattr(SceneFolder, "save", waits)
        room, other = Room(tmp_path), Reader()
        room.join(other)
        drummer = room.clients.join(DESK)
        value = True if "set" in slow else "verse"
        message = json.dumps({**slow, "value": value})
        waiting = asyncio.create_task(room.clients.receive(drummer, message))
        await room.move(range(-1, -4, -1))
        assert [one["values"][GAIN] for one in other.read("values")][-3:] == [-1, -2, -3]
        assert await waiting
        for dry in (1, 0):  # nor its own
            assert await room.clients.receive(drummer, json.dumps({"set": "/dry", "value": dry}))
            assert room.band.mixer.state.dry is bool(dry)
        assert not done
        disk.set()
        async with asyncio.timeout(10):
            while not done:
                await asyncio.sleep(0.001)
        room.leave()

    asyncio.run(play())


def test_a_page_that_reads_nothing_is_given_up(tmp_path: Path) -> None:
    async def play() -> None:
        room = Room(tmp_path, patience_seconds=0.01)
        with pytest.raises(TimeoutError):
            await room.join(Reader(reads=False))
        room.leave()

    asyncio.run(play())


def test_what_fifty_pages_are_sent_is_made_once(tmp_path: Path) -> None:
    async def play() -> None:
        room, readers = Room(tmp_path), [Reader() for _ in range(50)]
        for reader in readers:
            room.join(reader)
        await settled()
        for reader in readers:
            reader.sent.clear()
        await room.move(range(-1, -2, -1))
        for texts in zip(*(reader.sent for reader in readers), strict=True):
            assert len({id(text) for text in texts}) == 1
        assert {one["type"] for one in map(json.loads, readers[0].sent)} >= {"values", "meters"}
        room.leave()

    asyncio.run(play())


def test_scenes_that_cannot_be_saved_any_more_are_told_and_the_sound_goes_on(
    tmp_path: Path,
) -> None:
    smooth, folder, told = tone(5), tmp_path / "scenes", list[str]()
    device = card(smooth)
    with running([device], route=["drums=1,2"], scenes=folder) as run:
        view = RunView(run.session, run.session.status)
        clients = Clients(view, lambda _role: (), told.append)
        desk = clients.join(DESK)
        assert desk is not None
        run.advance(1.5)
        assert not errors(clients, desk, act="/scene/save", value="verse")
        shutil.rmtree(folder)  # as a disk that is no more, or takes nothing any more
        folder.touch()
        run.advance(0.5)
        (unsaved,) = errors(clients, desk, act="/scene/save", value="chorus")
        (unread,) = errors(clients, desk, set="/scene/recall", value="verse")
        run.advance(1.5)
        status, delay = run.session.status(), run.announced_frames
    assert "chorus.toml cannot be written: a file stands where its folder should be" in unsaved
    assert "the scenes in " in unread
    assert "cannot be read (Not a directory)" in unread
    assert (status.state, status.xruns, status.deadline_misses) == (State.RUNNING, 0, 0)
    out = device.heard(0, device.heard_frames)[:, :2]
    first = begun() + delay + RATE // 4
    np.testing.assert_allclose(out[first:], smooth[first - delay : len(out) - delay], atol=1e-6)
    assert not told
