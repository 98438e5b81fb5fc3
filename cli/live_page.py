"""The page of a live run at the terminal: where it is, as addresses and as QR codes."""

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


def find_page() -> Any:
    """Return the module of the page's server, whose libraries are an extra.

    Raises:
        SettingsError: they are not installed.
    """
    try:
        return import_module("streamer.live.control.page.server")
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the page needs {error.name}, which is not here; `pip install 'stemstream[page]'`"
        ) from None


def open_page(
    session: LiveSession,
    settings: LiveSettings,
    stack: ExitStack,
    tell_later: Callable[[str], None],
) -> None:
    """Serve the page until the stack is left, and say where it is.

    Raises:
        SettingsError: it cannot listen there.
    """
    found = find_page()
    where = found.PageSettings(settings.page, settings.host, settings.token, settings.announce)
    page: server.PageServer = found.PageServer(session, session.status, where, tell_later)
    stack.enter_context(page)
    desk, *listeners = page.links.roles()
    for role in (desk, *listeners):
        tell(_told(page, role))
        if is_screen() and not page.is_local:
            console.print(Text(page.links.text(role)), soft_wrap=True)
    if is_screen():  # the live screen hides what was told; the desk has the codes of all others
        tell_later(_told(page, desk))


def _told(page: server.PageServer, role: Any) -> str:
    return f"the {role.title} is at {page.links.url(role)}"
