"""What is shown to a person: on standard error, since standard output may carry audio or JSON."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text


class _Teller(Console):
    """Standard error; where nothing can be told there, as on a full disk, the work goes on."""

    def print(self, *objects: Any, **options: Any) -> None:
        with contextlib.suppress(OSError):
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        self.quiet = True


# no markup and no emoji: brackets and colons in the name of a song are part of it
console = _Teller(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
TABLE_WIDTH = 120
output = Console(highlight=False, markup=False, emoji=False)
"""Standard output, for the commands whose result is a table."""


def print_whole(table: Table) -> None:
    """Print a table on standard output, wider than the terminal if need be: a figure cut in two is
    none.
    """
    width = max(output.width, TABLE_WIDTH)
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


def complain(sentence: str) -> None:
    """Say what went wrong, on one line."""
    console.print(Text(f"stemstream: {' '.join(sentence.split())}"))


def tell(sentence: str) -> None:
    """Say what a user should know."""
    console.print(Text(sentence), style="dim")


class _Relay(logging.Handler):
    """Tells what the library logs for its user to know (INFO and above)."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(record.getMessage())


def relay_log() -> None:
    """Tell what the library logs, from now on."""
    log = logging.getLogger("streamer")
    log.setLevel(logging.INFO)
    if not any(isinstance(one, _Relay) for one in log.handlers):
        log.addHandler(_Relay())


class SpeedColumn(ProgressColumn):
    """Seconds of music per second, so far."""

    def render(self, task: Task) -> Text:
        """Return the speed as a multiple of real time."""
        if not task.elapsed or not task.completed:
            return Text("")
        return Text(f"{task.completed / task.elapsed:.1f}x real time")


def progress_bar() -> Progress:
    """Return a bar in seconds of music, with speed and time left; nothing when not a terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        SpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
