"""The page's thread and its socket.

::

    with PageServer(session, session.status, PageSettings(port=8080)) as page: ...

uvicorn serves `app` on a loop of its own, in a thread of its own. Nothing here waits for a browser:
a connection has little time to say what it wants and little room for it, and there are few of them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from streamer.live.control.controls import Controls
from streamer.live.control.page.announce import announce
from streamer.live.control.page.app import PageApp
from streamer.live.control.page.clients import Clients
from streamer.live.control.page.gate import Gate
from streamer.live.control.page.links import Links, is_loopback, reachable
from streamer.live.control.page.messages import LARGEST_BYTES
from streamer.live.control.page.roles import Tokens, new_token
from streamer.live.control.page.view import RunView
from streamer.live.listen import LOOPBACK, bound
from streamer.live.service import Service
from streamer.live.status import Status

MOST_CONNECTIONS: Final = 256
"""Open at a time, WebSockets or not: more would eat the file descriptors of the run."""
REQUESTS_SECONDS: Final = 30.0
"""How long a connection may stay open that is no WebSocket."""
PING_SECONDS: Final = 5.0
_HEAD_BYTES: Final = 16_384
_BUFFER_BYTES: Final = 32_768  # small: nobody is sent, or heard with, what was long ago
_GRACE_SECONDS: Final = 1.0
_BACKLOG: Final = 128


@dataclass(frozen=True, slots=True)
class PageSettings:
    """Where the page is, and for whom.

    ``port`` 0 takes a free one. ``token`` is the desk's, of letters, digits, - and _; without one
    nobody needs any on this machine alone, and elsewhere it is random. ``announce`` tells the local
    network where the page is.
    """

    port: int
    host: str = LOOPBACK
    token: str | None = None
    announce: bool = False


class PageServer(Service):
    """Serves the page until it is closed.

    Args:
        controls: what the page changes; called from the thread.
        status: gives a look at the run; called from the thread.
        settings: where, and for whom.
        tell: called with a sentence the first time that something is wrong.

    Raises:
        SettingsError: it cannot listen there.
    """

    def __init__(
        self,
        controls: Controls,
        status: Callable[[], Status],
        settings: PageSettings,
        tell: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self._socket = _listen(settings.host, settings.port)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        """Host and port that it listens on."""
        host, port = self.address
        self.is_local = is_loopback(host)
        """Whether only this machine can reach it."""
        token = settings.token
        if token is None and not self.is_local:
            token = new_token()
        view, tokens = RunView(controls, status), Tokens(token)
        self.links = Links(view, tokens, lambda: (reachable(host)[0], port))
        """Where its pages are."""
        app = PageApp(view, Clients(view, self.links.shown_to, tell), tokens, self.links)
        beside, gate = [], Gate(_names(settings.host))
        if settings.announce:
            beside.append(lambda: announce(reachable(host), port, gate.know, tell))
        self._server = _Server(_config(app.application(gate, beside)))
        self._tell = tell
        self._thread = threading.Thread(target=self._run, name="stemstream-page", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Send all clients away and stop; a thread that has not begun never will."""
        self._server.end()
        if self._thread.ident is None:
            self._socket.close()
        else:
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve([self._socket]))
        except BaseException as error:  # uvicorn leaves by SystemExit; the run goes on without it
            self._tell(f"the page has ended ({error!r}); please report it")


class _Server(Server):
    """uvicorn's server, to be ended from another thread."""

    def end(self) -> None:
        """End soon."""
        self.should_exit = True


class _Http(H11Protocol):
    """uvicorn's HTTP, for a number of connections and a time; the oldest makes room."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._began_seconds = self.loop.time()
        self.loop.call_later(REQUESTS_SECONDS, self._end)
        if len(self.connections) > MOST_CONNECTIONS:
            # a WebSocket has left this class, and is not cut off by those who only ask
            asking = [one for one in self.connections if isinstance(one, _Http)]
            min(asking, key=lambda one: one._began_seconds)._end()

    def _end(self) -> None:
        if self.transport.get_protocol() is self:
            self.connections.discard(self)
            self.transport.abort()


class _WebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, whose end is the connection's, though the other side does not read."""

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.loop.call_later(_GRACE_SECONDS, self.transport.abort)


def _config(app: Any) -> Config:
    for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        # nothing on the screen of the run, and no token in anybody's log
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return Config(
        app,
        http=_Http,
        ws=_WebSocket,
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        ws_max_size=LARGEST_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=2 * PING_SECONDS,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        timeout_graceful_shutdown=1,
    )


def _listen(host: str, port: int) -> socket.socket:
    options = {socket.SO_SNDBUF: _BUFFER_BYTES, socket.SO_RCVBUF: _BUFFER_BYTES}
    return bound("page", host, port, socket.SOCK_STREAM, options, _BACKLOG)


def _names(host: str) -> list[str]:
    try:
        ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return [host]
    return []
