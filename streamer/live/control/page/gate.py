"""Who is let in: the checks of a request's Host, Origin and tokens, each exact.

A page of another site must not reach the run through the browser of somebody in the room. Its
WebSocket says another Origin. If its name is made to lead here (DNS rebinding), the Host is
another. An address in digits cannot be rebound, so the Host is right if it is the one that the
connection came to. Names are right if they are known: ``localhost`` on this machine, and what was
announced.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Iterable
from typing import Final

_HTTP_PORT: Final = 80
_MOST_TOKENS: Final = 16

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "connect-src 'self'"
)


def headers(host: str = "") -> dict[str, str]:
    """Return what every answer says: no code but our own, kept nowhere, in no frame.

    ``host`` is the request's, if it is right: some browsers do not count a WebSocket as
    ``'self'``.
    """
    return {
        "Content-Security-Policy": f"{_POLICY} ws://{host}" if host else _POLICY,
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


class Gate:
    """Checks requests that came to one port.

    Args:
        names: host names under which this machine is known, besides its addresses.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        self._names: set[str] = set()
        for name in names:
            self.know(name)

    def know(self, name: str) -> None:
        """Let requests in that come by this host name, from now on."""
        self._names.add(name.lower().rstrip("."))

    def host_is_right(self, hosts: Iterable[str], address: str, port: int) -> bool:
        """Return whether the one ``Host`` of a request is where it came to.

        ``address`` and ``port`` are this side of the connection.
        """
        given = list(hosts)
        return len(given) == 1 and given[0].lower() in self._places(address, port)

    def origin_is_right(self, origins: Iterable[str], host: str) -> bool:
        """Return whether the one ``Origin`` of a request is the page at its ``host``."""
        return list(origins) == [f"http://{host.lower()}"]

    def _places(self, address: str, port: int) -> set[str]:
        where = ipaddress.ip_address(address.split("%")[0])
        if isinstance(where, ipaddress.IPv6Address) and where.ipv4_mapped is not None:
            where = where.ipv4_mapped
        hosts = {f"[{where}]" if where.version == 6 else str(where), *self._names}
        if where.is_loopback:
            hosts.add("localhost")
        places = {f"{host}:{port}" for host in hosts}
        return places | hosts if port == _HTTP_PORT else places


def cookie_name(port: int, kind: str = "", listener: str = "") -> str:
    """Return the name of a role's cookie; without one, how all of this port begin.

    Browsers keep one jar for all ports of a host.
    """
    # a listener's name may have letters that a cookie's may not
    whose = f"-{hashlib.sha256(listener.encode()).hexdigest()[:16]}" if listener else ""
    return f"stemstream-{port}-{kind}{whose}"


def tokens_in(cookies: Iterable[str], port: int) -> list[str]:
    """Return the tokens that a browser kept for this port, from its ``Cookie`` headers."""
    pairs = (one.strip().partition("=") for header in cookies for one in header.split(";"))
    prefix = cookie_name(port)
    return [value for name, _, value in pairs if name.startswith(prefix)][:_MOST_TOKENS]
