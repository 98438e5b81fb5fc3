"""The pages that are connected, and what each is sent: on the loop's thread alone.

One task looks at the run and puts the news into every client's outbox. Each client has a task that
sends what is in its own. So a client that reads slowly is sent the newest state when it reads
again, and one that reads nothing is dropped; the others do not notice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from streamer.errors import StemstreamError
from streamer.live.control.apart import SOON_SECONDS
from streamer.live.control.page import messages
from streamer.live.control.page.messages import (
    Error,
    Link,
    MessageError,
    Set,
    parse,
    plain,
)
from streamer.live.control.page.outbox import Change, Outbox
from streamer.live.control.page.pace import Pace
from streamer.live.control.page.roles import Role
from streamer.live.control.page.view import News, RunView, meters_message, peaks_message
from streamer.live.status import Waves

MOST_CLIENTS: Final = 64
LOOK_SECONDS: Final = 0.025
STATUS_SECONDS: Final = 0.25
PEAKS_AT_ONCE: Final = 2
SEND_SECONDS: Final = 5.0
_MOST_TOLD: Final = 16


class Socket(Protocol):
    """What a client needs of its WebSocket."""

    async def send_text(self, data: str) -> None:
        """Send a message; wait while the other side reads slowly."""


@dataclass(eq=False)
class Client:
    """One page that is connected."""

    number: int
    role: Role
    pace: Pace
    outbox: Outbox = field(default_factory=Outbox)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    is_known: bool = True
    """Whether there is such a page still: a scene may leave a listener out."""
    _next_peak: int = 0

    def begin_again(self, state: messages.State, *, is_known: bool) -> None:
        """Take the whole state: listeners came or went."""
        self.is_known = is_known
        self.outbox.replace(state)
        self.news.set()

    def wanted_peaks(self, waves: Waves) -> int | None:
        """Return the number of the first peak that it was not sent yet, if it is time for more."""
        if self.role.kind == "listener" or waves.end < self._next_peak + PEAKS_AT_ONCE:
            return None
        wanted, self._next_peak = max(self._next_peak, waves.first), waves.end
        return wanted


class Clients:
    """All pages that are connected.

    Args:
        view: the run as they see it.
        links: gives the links that a role is shown.
        tell: called with a sentence the first time that something is wrong.
        patience_seconds: a client that takes nothing for so long is dropped.
    """

    def __init__(
        self,
        view: RunView,
        links: Callable[[Role], Sequence[Link]],
        tell: Callable[[str], None],
        patience_seconds: float = SEND_SECONDS,
    ) -> None:
        self._view, self._links, self._tell = view, links, tell
        self._patience_seconds = patience_seconds
        self._waves = Waves()
        self._peaks: dict[int, str] = {}
        self._clients: set[Client] = set()
        self._next_number = 1
        self._told_status: messages.Status | None = None
        self._status_at = 0.0
        self._listeners = view.listeners
        self._told: set[str] = set()
        self._obeying: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._clients)

    def join(self, role: Role) -> Client | None:
        """Let a page in; None if there is no room."""
        if len(self._clients) >= MOST_CLIENTS:
            return None
        self.look(time.monotonic())
        client = Client(self._next_number, role, Pace(time.monotonic()))
        self._next_number += 1
        client.outbox.replace(self._view.state(role, client.number, self._links(role)))
        client.news.set()
        self._clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        """Forget a page."""
        self._clients.discard(client)

    async def receive(self, client: Client, text: str | None) -> bool:
        """Obey a message, None if it was no text; return whether the client may stay.

        What takes a disk long is done while the client's next messages are obeyed.
        """
        now = time.monotonic()
        if not client.pace.take(now):
            if client.pace.complain(now):
                self._complain(client, "", "too many messages at a time; send fewer")
            return not client.pace.is_over
        obeying = asyncio.ensure_future(self._obey(client, text))
        self._obeying.add(obeying)
        obeying.add_done_callback(self._obeying.discard)
        await asyncio.wait({obeying}, timeout=SOON_SECONDS)
        return True

    async def _obey(self, client: Client, text: str | None) -> None:
        address = ""
        try:
            if text is None:
                raise MessageError("a message must be text, and this was binary; send JSON")
            message = parse(text)
            address = message.set if isinstance(message, Set) else message.act
            await self._view.obey(client.role, message, client.number)
        except StemstreamError as error:
            self._complain(client, address, str(error))
        except Exception as error:  # the page outlives a mistake of ours
            self.failed(error)
            self._complain(client, address, "this failed; please report it")

    async def send(self, client: Client, socket: Socket) -> None:
        """Send what is in a client's outbox, as long as there is such a page.

        Raises:
            TimeoutError: it does not read.
        """
        loop = asyncio.get_running_loop()
        while client.is_known:
            await client.news.wait()
            client.news.clear()
            async with asyncio.timeout(None) as patience:
                for text in [*client.outbox.take(), *self._new_peaks(client)]:
                    patience.reschedule(loop.time() + self._patience_seconds)
                    await socket.send_text(text)

    async def watch(self) -> None:
        """Look at the run again and again, and put the news into all outboxes."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                self.look(time.monotonic())
            except Exception as error:  # the page outlives a mistake of ours
                self.failed(error)
            await asyncio.sleep(max(0.001, began + LOOK_SECONDS - loop.time()))

    def look(self, now_seconds: float) -> None:
        """Look at the run once, and put the news into all outboxes."""
        news = self._view.look()
        if self._view.listeners != self._listeners:
            self._listeners = self._view.listeners
            for client in self._clients:
                links = self._links(client.role)
                state = self._view.state(client.role, client.number, links)
                client.begin_again(state, is_known=self._view.knows(client.role))
        meters, status = "", self._new_status(now_seconds)
        if news.status is not None:
            self._waves, self._peaks = news.status.waves, {}
            meters = plain(meters_message(news.status)) if self._clients else ""
        changes = {role: self._change(role, news) for role in {one.role for one in self._clients}}
        for client in self._clients:
            change = changes[client.role]
            if change is not None:
                client.outbox.change(change)
            if meters:
                client.outbox.latest("meters", meters)
            if status:
                client.outbox.latest("status", status)
            if change is not None or meters or status:
                client.news.set()

    def _change(self, role: Role, news: News) -> Change | None:
        """Return what has changed of that which a role sees; None where nothing has."""
        values = self._view.seen_by(role, news.values)
        if not values:
            return None
        return Change(values, {one: news.by[one] for one in values if one in news.by})

    def _new_peaks(self, client: Client) -> list[str]:
        """Return the message with the peaks that a page was not sent yet.

        Pages that are in step get the same text, which is made once.
        """
        wanted = client.wanted_peaks(self._waves)
        if wanted is None:
            return []
        if wanted not in self._peaks:
            self._peaks[wanted] = plain(peaks_message(self._waves.since(wanted)))
        return [self._peaks[wanted]]

    def _new_status(self, now_seconds: float) -> str:
        """Return the message that tells it, if it is time for one and there is something new."""
        message = self._view.status()
        if message == self._told_status or now_seconds < self._status_at:
            return ""
        self._told_status, self._status_at = message, now_seconds + STATUS_SECONDS
        return plain(message)

    def _complain(self, client: Client, address: str, sentence: str) -> None:
        client.outbox.complain(Error(address=address, sentence=sentence))
        client.news.set()

    def failed(self, error: Exception) -> None:
        """Tell of a mistake of ours, once."""
        sentence = f"the page failed ({error!r}); please report it"
        if sentence not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(sentence)
            self._tell(sentence)
