"""What is served where, and to whom.

::

    /                               the desk; for a viewer too
    /mix/NAME                       the page of a listener
    /control, /control?mix=NAME     their WebSockets
    /qr/desk, /qr/mix/NAME, ...     QR codes, for the desk
    /static/FILE                    the page's own files

Every request passes the gate first. The files belong to the package and are read at the start: no
request leads to a path.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from streamer.live.control.page.clients import MOST_CLIENTS, Client, Clients
from streamer.live.control.page.gate import Gate, cookie_name, headers, tokens_in
from streamer.live.control.page.links import Links
from streamer.live.control.page.roles import DESK, VIEWER, Role, Tokens
from streamer.live.control.page.view import RunView

KEPT_SECONDS: Final = 7 * 86_400
"""How long a browser keeps a token."""
FULL: Final = 1013
TOO_MANY: Final = 1008
GONE: Final = 1000
"""Codes that a WebSocket is closed with, from RFC 6455."""
_MEDIA: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_UNKNOWN: Final = (
    "this page opens with the address that stemstream shows, or with its QR code; open that"
)
_NO_LISTENER: Final = "the scene has no listener of that name"
_ELSEWHERE: Final = "this is not the address of the page; open the one that stemstream shows"


class PageApp:
    """The page as an ASGI application, and what it holds.

    Args:
        view: the run as pages see it.
        clients: the pages that are connected.
        tokens: who may do what.
        links: where the pages are.
    """

    def __init__(self, view: RunView, clients: Clients, tokens: Tokens, links: Links) -> None:
        self._view, self._clients = view, clients
        self._tokens, self._links = tokens, links
        self._files = dict(_files(resources.files(__package__) / "static"))

    def application(
        self, gate: Gate, beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    ) -> ASGIApp:
        """Return what a server serves; the gate is before all.

        ``beside`` are run as long as it is served, until they are cancelled.
        """

        @contextlib.asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            tasks = [asyncio.create_task(one()) for one in (self._clients.watch, *beside)]
            try:
                yield
            finally:
                for one in tasks:
                    one.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        routes = [
            Route("/", self._page),
            Route("/mix/{listener}", self._page),
            Route("/qr/mix/{listener}", self._code),
            Route("/qr/{kind}", self._code),
            Route("/static/{name:path}", self._file),
            WebSocketRoute("/control", self._control),
        ]
        return _Gated(Starlette(routes=routes, lifespan=lifespan), gate, self._clients.failed)

    async def _page(self, request: Request) -> Response:
        listener = request.path_params.get("listener")
        if (token := request.query_params.get("token")) is not None:
            return self._entered(request, _wanted(listener), token)
        role = self._granted(_wanted(listener), self._kept(request))
        if role is None:
            return PlainTextResponse(_UNKNOWN, 401)
        if not self._view.knows(role):
            return PlainTextResponse(_NO_LISTENER, 404)
        return self._answer("index.html")

    def _entered(self, request: Request, wanted: Sequence[Role], token: str) -> Response:
        """Keep the token as a cookie, and lead on to the address without it."""
        role = self._granted(wanted, [token])
        if role is None:
            return PlainTextResponse(_UNKNOWN, 401)
        # no redirect: a browser that came here by a link on another site would come to the page
        # without its cookie
        path = html.escape(quote(role.path))
        entered = HTMLResponse(
            f'<!doctype html><meta http-equiv="refresh" content="0;url={path}">'
            '<link rel="icon" href="/static/icon.svg" type="image/svg+xml">'
            f'<title>stemstream</title><a href="{path}">stemstream</a>'
        )
        if self._tokens.token(role) is not None:  # else nobody needs one, and any site may send one
            entered.set_cookie(
                cookie_name(_port(request), role.kind, role.listener),
                token,
                max_age=KEPT_SECONDS,
                path="/",
                httponly=True,
                samesite="strict",
            )
        return entered

    async def _code(self, request: Request) -> Response:
        if self._granted([DESK], self._kept(request)) is None:
            return PlainTextResponse(_UNKNOWN, 401)
        listener, kind = request.path_params.get("listener"), request.path_params.get("kind")
        role = Role("listener", listener) if listener is not None else None
        for one in self._links.roles():
            if one == role or one.kind == kind != "listener":
                return Response(self._links.svg(one), media_type="image/svg+xml")
        return PlainTextResponse("there is no such page", 404)

    async def _file(self, request: Request) -> Response:
        return self._answer(request.path_params["name"])

    def _answer(self, name: str) -> Response:
        if name not in self._files:
            return PlainTextResponse("there is no such file", 404)
        return Response(self._files[name], media_type=_MEDIA[PurePosixPath(name).suffix])

    async def _control(self, socket: WebSocket) -> None:
        wanted = _wanted(socket.query_params.get("mix"))
        role = self._granted(wanted, self._kept(socket))
        if role is None:
            await socket.send_denial_response(PlainTextResponse(_UNKNOWN, 401))
            return
        if not self._view.knows(role):
            await socket.send_denial_response(PlainTextResponse(_NO_LISTENER, 404))
            return
        await socket.accept()
        client = self._clients.join(role)
        if client is None:
            await socket.close(FULL, f"there are {MOST_CLIENTS} pages already; close one")
            return
        try:
            await self._serve(client, socket)
        finally:
            self._clients.leave(client)

    async def _serve(self, client: Client, socket: WebSocket) -> None:
        """Send news and obey, until the client leaves, reads nothing or sends too much, or its
        listener is gone.
        """
        sending = asyncio.create_task(self._clients.send(client, _Sending(socket)))
        reading = asyncio.create_task(self._read(client, socket))
        try:
            await asyncio.wait([sending, reading], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            reading.cancel()
            results = await asyncio.gather(sending, reading, return_exceptions=True)
        with contextlib.suppress(RuntimeError):  # it has gone by itself
            if client.pace.is_over:
                await socket.close(TOO_MANY, "too many messages; send fewer at a time")
            elif not client.is_known:
                await socket.close(GONE, _NO_LISTENER)
        for one in results:
            # it has gone, or reads nothing
            expected = asyncio.CancelledError | WebSocketDisconnect | TimeoutError
            if isinstance(one, BaseException) and not isinstance(one, expected):
                raise one

    async def _read(self, client: Client, socket: WebSocket) -> None:
        """Obey what a client sends, until it leaves or sends too much."""
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            if not await self._clients.receive(client, message.get("text")):
                return
            await asyncio.sleep(0)  # many may have come at once, and the others have their turn

    def _granted(self, wanted: Sequence[Role], tokens: Sequence[str]) -> Role | None:
        """Return the first of these roles that the tokens give."""
        return next((role for role in wanted if self._tokens.give(role, tokens)), None)

    def _kept(self, connection: HTTPConnection) -> list[str]:
        return tokens_in(connection.headers.getlist("cookie"), _port(connection))


class _Sending:
    """A WebSocket that is sent to: if it is closed meanwhile, it is gone, and that is no error."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def send_text(self, data: str) -> None:
        try:
            await self._socket.send_text(data)
        except RuntimeError:
            raise WebSocketDisconnect from None


class _Gated:
    """Lets only those requests through whose Host and Origin are right; heads every answer."""

    def __init__(self, app: ASGIApp, gate: Gate, failed: Callable[[Exception], None]) -> None:
        self._app, self._gate, self._failed = app, gate, failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope)
        right = self._gate.host_is_right(given.getlist("host"), *scope["server"])
        host = given["host"] if right else ""
        origins = given.getlist("origin")

        async def send_headed(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                MutableHeaders(scope=message).update(headers(host))
            await send(message)

        if not right:
            refused = PlainTextResponse(_ELSEWHERE, 421)
            await refused(scope, receive, send_headed)
        # a browser names the origin of each WebSocket, but not of each page
        elif (origins or scope["type"] == "websocket") and not self._gate.origin_is_right(
            origins, host
        ):
            await PlainTextResponse(_ELSEWHERE, 403)(scope, receive, send_headed)
        else:
            try:
                await self._app(scope, receive, send_headed)
            except Exception as error:  # the page outlives a mistake of ours
                self._failed(error)


def _wanted(listener: str | None) -> list[Role]:
    return [DESK, VIEWER] if listener is None else [Role("listener", listener)]


def _port(connection: HTTPConnection) -> int:
    return int(connection.scope["server"][1])


def _files(folder: Traversable) -> Iterator[tuple[str, bytes]]:
    for one in folder.iterdir():
        if PurePosixPath(one.name).suffix in _MEDIA:
            yield one.name, one.read_bytes()
