"""What a live run shows at the terminal: a screen with keys, or a line for each change of state."""

from __future__ import annotations

from queue import SimpleQueue

from rich.console import Group
from rich.live import Live

from cli.keys import Keyboard, Terminal
from cli.picture import facts, picture
from cli.terminal import console, is_screen, tell
from streamer.live.session import LiveSession
from streamer.live.status import State, Status

REFRESH_SECONDS = 0.1


def show(session: LiveSession, said: SimpleQueue[str]) -> None:
    """Show a run until it ends, and what it has said meanwhile."""
    if is_screen():
        _show_screen(session, said)
    else:
        _show_lines(session, said)


def tell_all(said: SimpleQueue[str]) -> None:
    """Tell what was said: here, since a terminal may be held (Ctrl-S) and a pipe be full."""
    for sentence in _taken(said):
        tell(sentence)


def line(status: Status) -> str:
    """Return a run's state on one line."""
    return ", ".join(facts(status))


def _show_screen(session: LiveSession, said: SimpleQueue[str]) -> None:
    """Show it on the terminal's other screen, which is drawn again each time: nothing is left over
    when its size changes. What was said is told again on the first one, where it stays.
    """
    keyboard, done, told = Keyboard(session), "", list[str]()
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
                lines = picture(
                    session.status(),
                    session.mixer.state,
                    keyboard.selected,
                    done,
                    told,
                    console.size,
                )
                live.update(Group(*lines), refresh=True)
    finally:
        for sentence in told:
            tell(sentence)


def _show_lines(session: LiveSession, said: SimpleQueue[str]) -> None:
    shown: object = None
    while not session.wait(REFRESH_SECONDS):
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
