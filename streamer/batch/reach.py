"""How a store is reached by an address, and what is told where it cannot be.

The libraries find credentials themselves, in the environment and in their own files. Nothing of
them is read, kept or shown here, nor any text of theirs: it may hold a signed address.

Source: https://filesystem-spec.readthedocs.io/en/latest/api.html
"""

from __future__ import annotations

import errno
import importlib
import os
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from streamer.errors import SettingsError, StemstreamError

WAITS_SECONDS: Final = (1.0, 4.0, 16.0)
"""The pauses before what did not reach a store is tried again."""
LASTING: Final = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
"""What is no better a moment later."""
_LOCAL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What the disk of this machine says, and no network."""
_UNREACHED: Final = ("Connect", "Timeout", "Disconnect", "Payload", "HTTPClient")
"""Parts of the names that libraries give to the errors of a network."""
_PACKAGE: Final = "'stemstream[store]'"

Result = TypeVar("Result")


def open_store(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and its key there.

    Raises:
        SettingsError: there is no such store, its library is not installed, or has no credentials.
    """
    protocol, _, rest = address.partition("://")
    if "::" in address or "@" in rest.partition("/")[0]:
        raise SettingsError(
            f"{protocol}:// takes an address without '::', user names and passwords; the "
            "library of the store finds its credentials in the environment"
        )
    try:
        importlib.import_module("fsspec.registry").get_filesystem_class(protocol)
    except ImportError:
        raise SettingsError(
            f"{protocol}:// needs a package that is not installed; pip install {_package(protocol)}"
        ) from None
    except ValueError:
        raise SettingsError(
            f"{protocol}:// is no store that is known; try s3://, gs:// or a folder"
        ) from None
    try:
        core = importlib.import_module("fsspec.core")
        # what others write meanwhile must be seen
        store, key = core.url_to_fs(address, use_listings_cache=False)
    except Exception as error:  # each library has its own; a ValueError misses an account
        cause = PermissionError() if isinstance(error, ValueError) else error
        raise SettingsError(told(cause, address)) from None
    return store, str(key)


def patiently(
    address: str, kind: type[StemstreamError], act: Callable[[Any, str], Result]
) -> Result:
    """Do something with a store and a key, several times if the network is away.

    Raises:
        StemstreamError: of that kind, if it cannot be done.
        SettingsError: there is no such store.
    """
    store, key = open_store(address)
    for wait in (*WAITS_SECONDS, None):
        try:
            return act(store, key)
        except Exception as error:  # each library has its own
            if wait is None or not _may_pass(error):
                raise kind(told(error, address)) from None
            time.sleep(wait)
    raise AssertionError


def told(error: Exception, address: str) -> str:
    """Return in one sentence what an error of a store's library means."""
    kind = type(error).__name__
    if isinstance(error, FileNotFoundError):
        return f"there is no {address}: no such bucket or key; mend the address"
    if isinstance(error, PermissionError) or "Credential" in kind:
        return (
            f"{address} gives no access; let the library of the store find credentials that do, "
            "as in AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if isinstance(error, OSError) and error.errno in _LOCAL:
        return (
            f"this machine's disk takes no more of {address} ({os.strerror(error.errno)}); free "
            "some space, or name another folder for temporary files in TMPDIR"
        )
    if _may_pass(error):
        return (
            f"{address} cannot be reached ({kind}); when the network is back, run it again with "
            "--retry-failed"
        )
    return f"{address} cannot be used ({kind}); look at it with the tools of the store"


def _may_pass(error: Exception) -> bool:
    """Return whether the network may be at fault, or a store that is busy."""
    if isinstance(error, OSError):
        return not isinstance(error, LASTING) and error.errno not in _LOCAL
    return any(part in type(error).__name__ for part in _UNREACHED)


def _package(protocol: str) -> str:
    """Return what pip is to install for a store."""
    if protocol in ("s3", "s3a"):
        return _PACKAGE
    try:
        known = importlib.import_module("fsspec.registry").known_implementations
    except ImportError:
        return _PACKAGE
    package = str(known[protocol]["class"]).partition(".")[0]
    return f"'fsspec[{protocol}]'" if package == "fsspec" else package
