"""The page's name on the local network (multicast DNS, service discovery as in RFC 6763)."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from typing import Final

from zeroconf import Error, IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

SERVICE: Final = "_http._tcp.local."


def announced_name() -> str:
    """Return the host name that is announced, for addresses."""
    machine = re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().split(".")[0].lower()).strip("-")
    return f"stemstream-{machine}.local" if machine else "stemstream.local"


async def announce(addresses: Sequence[str], port: int, tell: Callable[[str], None]) -> None:
    """Announce the page, without any token, until this is cancelled.

    Where the network does not let us, it is told, and that is all. ``addresses`` are those under
    which others reach this machine.
    """
    name = announced_name()
    info = AsyncServiceInfo(
        SERVICE,
        f"{name.removesuffix('.local')}.{SERVICE}",
        port=port,
        addresses=[ipaddress.ip_address(one).packed for one in addresses],
        properties={"path": "/"},
        server=f"{name}.",
    )
    try:
        zeroconf = AsyncZeroconf(ip_version=IPVersion.All)
    except OSError as error:
        tell(f"the page is not announced ({error.strerror}); give its address instead")
        return
    try:
        await (await zeroconf.async_register_service(info, allow_name_change=True))
        await asyncio.Event().wait()
    except Error as error:
        tell(f"the page is not announced ({error!r}); give its address instead")
    finally:
        await zeroconf.async_close()
