"""What a live run shows at the terminal: a screen with keys, or a line for each change of state."""

from __future__ import annotations

from collections.abc import Sequence
from queue import SimpleQueue

from rich.console import Group
from rich.live import Live
from rich.text import Text

from cli.keys import Keyboard, Terminal
from cli.live_page import Pages
from cli.picture import code_picture, facts, picture
from cli.terminal import console, is_screen, tell
from streamer.live.session import LiveSession
from streamer.live.status import State, Status

REFRESH_SECONDS = 0.1
LINE_SECONDS = 0.02
"""A line is told only where there is news, so it can be told at once."""


def show(session: LiveSession, said: SimpleQueue[str], pages: Pages) -> None:
    """Show a run until it ends, and what it has said meanwhile."""
    if is_screen():
        _show_screen(session, said, pages)
    else:
        _show_lines(session, said)


def tell_all(said: SimpleQueue[str]) -> None:
    """Tell what was said: here, since a terminal may be held (Ctrl-S) and a pipe be full."""
    for sentence in _taken(said):
        tell(sentence)


def line(status: Status) -> str:
    """Return a run's state on one line."""
    return ", ".join(facts(status))


def _show_screen(session: LiveSession, said: SimpleQueue[str], pages: Pages) -> None:
    """Show it on the terminal's other screen, which is drawn again each time: nothing is left over
    when its size changes. What was said is told again on the first one, where it stays.
    """
    keyboard, done, told = Keyboard(session, lambda: len(pages.roles())), "", list[str]()
    # rich would write through standard error as others have it, which escapes what moves the cursor
    live = Live(
        console=console,
        auto_refresh=False,
        screen=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    try:
        with Terminal() as terminal, live:
            while not session.wait(0):
                for key in terminal.read(REFRESH_SECONDS):
                    done = keyboard.press(key) or done
                told += _taken(said)
                lines = _lines(session, keyboard, done, told, pages)
                live.update(Group(*lines), refresh=True)
    finally:
        for sentence in told:
            tell(sentence)


def _lines(
    session: LiveSession, keyboard: Keyboard, done: str, told: Sequence[str], pages: Pages
) -> list[Text]:
    """Return what the screen shows now: the mix, or a page's QR code."""
    place, roles = keyboard.page, pages.roles()
    if place is not None and place < len(roles):
        role = roles[place]
        return code_picture(pages.told(role), pages.code(role), console.size)
    return picture(
        session.status(),
        session.mixer.state,
        keyboard.selected,
        done,
        told,
        console.size,
        pages=len(roles),
    )


def _show_lines(session: LiveSession, said: SimpleQueue[str]) -> None:
    shown: object = None
    while not session.wait(LINE_SECONDS):
        tell_all(said)
        status = session.status()
        news = (status.state, status.reason, status.rung)
        if news != shown and status.state is not State.STOPPED:  # that is told by who ends the run
            shown = news
            tell(line(status))


def _taken(said: SimpleQueue[str]) -> list[str]:
    sentences = []
    while not said.empty():
        sentences.append(said.get())
    return sentences
