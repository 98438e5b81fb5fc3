"""Who may do what on the page, and the tokens that say who somebody is.

The desk may do everything that a page can. A listener may set the addresses of that listener alone.
A viewer sees the desk and sets nothing.

All tokens follow from the desk's, so they stay the same as long as that one does. No other token
leads back to it, or to another role's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["desk", "viewer", "listener"]

_TOKEN_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Role:
    """What a page may do; ``listener`` is whose page it is, for a listener's."""

    kind: Kind
    listener: str = ""

    @property
    def title(self) -> str:
        """What the page is called."""
        return {"desk": "desk", "viewer": "desk for viewers"}.get(
            self.kind, f"page of {self.listener}"
        )

    @property
    def path(self) -> str:
        """The page's path, unquoted."""
        return f"/mix/{self.listener}" if self.kind == "listener" else "/"


DESK: Final = Role("desk")
VIEWER: Final = Role("viewer")


class Tokens:
    """The tokens of a run. Without one (``desk`` is None) everybody who gets in may do everything.

    Args:
        desk: the desk's token, or None.
    """

    def __init__(self, desk: str | None) -> None:
        self._desk = desk
        # slow on purpose: nobody finds a desk's token that a person made up by trying them out
        # against another role's
        self._key = (
            hashlib.scrypt(desk.encode(), salt=b"stemstream page", n=1 << 14, r=8, p=1)
            if desk is not None
            else b""
        )

    def token(self, role: Role) -> str | None:
        """Return the token that gives this role; None if none is needed."""
        if self._desk is None or role.kind == "desk":
            return self._desk
        name = f"{role.kind}\0{role.listener}".encode("utf-8", "replace")
        made = hmac.digest(self._key, name, "sha256")[:_TOKEN_BYTES]
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()

    def give(self, role: Role, shown: Iterable[str]) -> bool:
        """Return whether somebody who shows these tokens may have a role.

        The desk's token gives every role.
        """
        if self._desk is None:
            return True
        known = [str(self.token(one)).encode() for one in {role, DESK}]
        found = False
        for given in shown:
            for right in known:  # each, and whole: the time tells nothing
                found |= hmac.compare_digest(given.encode("utf-8", "replace"), right)
        return found


def new_token() -> str:
    """Return a random token."""
    return secrets.token_urlsafe(_TOKEN_BYTES)
