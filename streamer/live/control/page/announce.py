"""The page's name on the local network (multicast DNS, service discovery as in RFC 6763)."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from typing import Final

from zeroconf import Error
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

SERVICE: Final = "_http._tcp.local."
LISTEN_MILLISECONDS: Final = 1500
"""How long an owner of a name may take to answer."""
_LONGEST: Final = 60
"""Of a name, with room for a number; DNS allows 63."""


def announced_name(machine: str | None = None) -> str:
    """Return the host name that is announced for a machine; without one, for this."""
    first = (machine or socket.gethostname()).split(".")[0].lower()
    name = re.sub(r"[^a-z0-9-]+", "-", first).strip("-")
    return f"stemstream-{name}"[:_LONGEST].strip("-") + ".local"


async def announce(
    addresses: Sequence[str],
    port: int,
    known: Callable[[str], None],
    tell: Callable[[str], None],
) -> None:
    """Announce the page, without any token, until this is cancelled.

    ``addresses`` are those under which others reach this machine, and where it is announced.
    ``known`` is given the host name before anybody can use it: where another run has the first
    choice, it has a number. Where the network does not let us, it is told, and that is all.
    """
    try:
        zeroconf = AsyncZeroconf(interfaces=list(addresses))
    except OSError as error:
        tell(f"the page is not announced ({error.strerror}); give its address instead")
        return
    try:
        name = await _register(zeroconf, addresses, port, known)
        tell(f"the page is announced as http://{name}:{port}")
        await asyncio.Event().wait()
    except Error as error:
        tell(f"the page is not announced ({error!r}); give its address instead")
    finally:
        await zeroconf.async_close()


async def _register(
    zeroconf: AsyncZeroconf, addresses: Sequence[str], port: int, known: Callable[[str], None]
) -> str:
    """Take a name that nobody has, for the service and the host, and return that of the host.

    Both get the same number: two machines of one name must not share the host's.
    """
    name = await _free_name(zeroconf)
    info = AsyncServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        port=port,
        addresses=[ipaddress.ip_address(one).packed for one in addresses],
        properties={"path": "/"},
        server=f"{name}.local.",
    )
    registered = await zeroconf.async_register_service(info)
    known(f"{name}.local")
    await registered
    return f"{name}.local"


async def _free_name(zeroconf: AsyncZeroconf) -> str:
    """Return the first name that no other run has.

    Registering asks too, but not for long enough: who has told a name within the last second does
    not tell it again at once.
    """
    first = name = announced_name().removesuffix(".local")
    number = 1
    while await zeroconf.async_get_service_info(SERVICE, f"{name}.{SERVICE}", LISTEN_MILLISECONDS):
        number += 1
        name = f"{first}-{number}"
    return name
