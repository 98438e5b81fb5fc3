"""The addresses of the pages, as text and as QR codes, and which of them are there."""

from __future__ import annotations

import io
import ipaddress
import socket
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

import ifaddr
import segno

from streamer.live.control.page.messages import Link
from streamer.live.control.page.roles import DESK, VIEWER, Role, Tokens
from streamer.live.control.page.view import RunView
from streamer.live.listen import LOOPBACK, shown

_NOWHERE = "192.0.2.1"  # for documentation: nothing is sent there


class Links:
    """Addresses of all pages of a run.

    Args:
        view: knows the listeners.
        tokens: those that the addresses contain.
        place: gives host and port for an address, as they are now.
    """

    def __init__(self, view: RunView, tokens: Tokens, place: Callable[[], tuple[str, int]]) -> None:
        self._view, self._tokens, self._place = view, tokens, place

    def roles(self) -> Iterator[Role]:
        """Yield a role for each page of this run."""
        yield DESK
        if self._tokens.token(DESK) is not None:
            yield VIEWER
        for name in self._view.listeners:
            yield Role("listener", name)

    def shown_to(self, role: Role) -> tuple[Link, ...]:
        """Return the links that a page shows: all to the desk, none to others."""
        if role != DESK:
            return ()
        return tuple(
            Link(name=name(one), path=quote(one.path), url=self.url(one), qr=qr_path(one))
            for one in self.roles()
        )

    def url(self, role: Role) -> str:
        """Return the address that opens a page on a device that was not here before."""
        token = self._tokens.token(role)
        query = "" if token is None else f"?token={token}"
        return f"http://{shown(*self._place())}{quote(role.path)}{query}"

    def svg(self, role: Role) -> bytes:
        """Return a page's address as a QR code, for another page."""
        image = io.BytesIO()
        segno.make(self.url(role), micro=False).save(image, kind="svg", scale=4, light="white")
        return image.getvalue()

    def text(self, role: Role) -> str:
        """Return a page's address as a QR code of block characters, for a terminal."""
        image = io.StringIO()
        segno.make(self.url(role), micro=False, error="l", boost_error=False).terminal(
            image, border=2, compact=True
        )
        return image.getvalue()


def name(role: Role) -> str:
    """Return what a page is called."""
    return role.listener if role.kind == "listener" else role.kind


def qr_path(role: Role) -> str:
    """Return where a page's QR code is."""
    return quote(f"/qr/mix/{role.listener}" if role.kind == "listener" else f"/qr/{role.kind}")


def reachable(host: str) -> Sequence[str]:
    """Return the addresses under which others reach this machine that listens on ``host``.

    The best one is the first. On loopback nobody does: then it is that.
    """
    if not _ip(host).is_unspecified:
        return [host]
    adapters = [ip.ip for one in ifaddr.get_adapters() for ip in one.ips]
    found = [one for one in adapters if isinstance(one, str) and not _ip(one).is_loopback]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((_NOWHERE, 9))
            best = str(asking.getsockname()[0])
        except OSError:  # a network without a way out, such as a hotspot of this machine
            return found or [LOOPBACK]
    return [best, *(one for one in found if one != best)]


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    return _ip(host).is_loopback


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(host.split("%")[0])
