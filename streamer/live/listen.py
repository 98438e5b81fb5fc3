"""The addresses that a run's servers listen on, and the errors where they cannot."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from streamer.errors import SettingsError

LOOPBACK: Final = "127.0.0.1"

Address: TypeAlias = tuple[Any, ...]
"""Host and port, and two more numbers in IPv6."""


def find_address(
    name: str, host: str, port: int, kind: socket.SocketKind
) -> tuple[socket.AddressFamily, Address]:
    """Return the family and the address of a host and a port; ``name`` is the setting's.

    Raises:
        SettingsError: there is no such host or port.
    """
    if port not in range(65536):
        raise SettingsError(
            f"{name}={port} must be between 0 and 65535; try 0 for any that is free"
        )
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
    except (OSError, UnicodeError):
        raise _no_host(host) from None
    return family, address


def refusal(name: str, host: str, port: int, error: OSError) -> SettingsError:
    """Return in one sentence why it cannot listen there, and what would help."""
    if error.errno == errno.EADDRNOTAVAIL:
        return _no_host(host)
    if error.errno == errno.EADDRINUSE:
        must = f"a port that no other program has on {host}"
    elif error.errno == errno.EACCES:
        must = "a port that you may open, which most often are those from 1024"
    else:
        must = f"a port that can be opened on {host} ({error.strerror})"
    return SettingsError(f"{name}={port} must be {must}; try 0 for any that is free")


def bound(
    name: str,
    host: str,
    port: int,
    kind: socket.SocketKind,
    options: Mapping[int, int] = MappingProxyType({}),
    backlog: int = 0,
) -> socket.socket:
    """Return a socket on that host and port.

    ``options`` are of ``SOL_SOCKET``. With a ``backlog`` it takes connections; then the port of a
    run that has just ended is free again at once.

    Raises:
        SettingsError: it cannot listen there.
    """
    family, place = find_address(name, host, port, kind)
    try:
        made = socket.socket(family, kind)
        try:
            if backlog:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for option, value in options.items():
                made.setsockopt(socket.SOL_SOCKET, option, value)
            made.bind(place)
            if backlog:
                made.listen(backlog)
        except OSError:
            made.close()
            raise
    except OSError as error:
        raise refusal(name, host, port, error) from None
    return made


def shown(host: str, port: int) -> str:
    """Return a host and a port as in a web address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _no_host(host: str) -> SettingsError:
    return SettingsError(
        f"host={host} must be an address of this machine; try {LOOPBACK}, which it alone reaches, "
        "or 0.0.0.0 for all that it has"
    )
