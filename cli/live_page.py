"""The pages of a live run at the terminal: where they are, as addresses and as QR codes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rich.text import Text

from cli.terminal import console, is_screen, tell
from streamer.errors import SettingsError
from streamer.live.session import LiveSession
from streamer.live.settings import LiveSettings

if TYPE_CHECKING:
    from streamer.live.control.page import server


class Pages:
    """The pages of a run, as they are now: listeners come and go. Without a server there are none.

    Args:
        page: serves them.
    """

    def __init__(self, page: server.PageServer | None = None) -> None:
        self._page = page
        self._codes: dict[str, str] = {}

    def roles(self) -> list[Any]:
        """Return whose pages there are, the desk first."""
        return [] if self._page is None else [*self._page.links.roles()]

    def told(self, role: Any) -> str:
        """Return where a page is, in words."""
        return f"the {role.title} is at {self._links.url(role)}"

    @property
    def trouble(self) -> str:
        """Why there are no QR codes to show, in words; "" where there are."""
        if self._page is not None and self._page.is_local:
            return "only this machine opens it; --host 0.0.0.0 lets phones in"
        if not console.encoding.startswith("utf"):
            return "this terminal has no signs for a QR code; the desk shows it"
        return ""

    def code(self, role: Any) -> str:
        """Return a page's QR code in lines of block characters, or the trouble."""
        if self.trouble:
            return self.trouble
        url = self._links.url(role)
        if url not in self._codes:
            self._codes[url] = self._links.text(role).rstrip("\n")
        return self._codes[url]

    @property
    def _links(self) -> Any:
        assert self._page is not None
        return self._page.links


def find_page() -> Any:
    """Return the module of the page's server, whose libraries are an extra.

    Raises:
        SettingsError: they are not installed.
    """
    try:
        return import_module("streamer.live.control.page.server")
    except ImportError as error:  # it is not there, or too old
        raise SettingsError(
            f"the page needs {error.name}, which is not here; `pip install 'stemstream[page]'`"
        ) from None


def open_page(
    session: LiveSession,
    settings: LiveSettings,
    stack: ExitStack,
    tell_later: Callable[[str], None],
) -> Pages:
    """Serve the pages until the stack is left, and say where they are.

    A live screen hides what was told: so it tells of the desk again, and has a key for the codes.

    Raises:
        SettingsError: it cannot listen there.
    """
    found = find_page()
    announce = settings.announce and not settings.is_local
    where = found.PageSettings(settings.page, settings.host, settings.token, announce)
    page: server.PageServer = found.PageServer(session, session.status, where, tell_later)
    stack.enter_context(page)
    pages = Pages(page)
    for role in pages.roles():
        tell(pages.told(role))
        if not is_screen() and not pages.trouble:
            console.print(Text(pages.code(role)), soft_wrap=True)
    if is_screen():
        key = "" if pages.trouble else "; key p shows its QR code"
        tell_later(f"{pages.told(pages.roles()[0])}{key}")
    return pages
