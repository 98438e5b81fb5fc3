"""What is shown to a person: on standard error, since standard output may carry audio or JSON."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cli.escapes import escaped

SCREEN_LINE_END = "\n\r"
"""Between the lines of a picture that fills the terminal; rich does not mark it as a control."""


class SafeConsole(Console):
    """A terminal or what stands in for one, that obeys no control sequence in a text.

    No markup and no emoji: brackets and colons in the name of a song are part of it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """See `Console`: escaped before a table measures it."""
        return super().render_str(escaped(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """See `Console`: all that is shown comes by here."""
        if isinstance(renderable, Text) and escaped(renderable.plain) != renderable.plain:
            renderable = Text(escaped(renderable.plain), style=renderable.style)
        for segment in super().render(renderable, options):
            text = segment.text
            ours = segment.is_control or text == SCREEN_LINE_END
            yield segment if ours else Segment(escaped(text), segment.style)


console = SafeConsole(stderr=True, soft_wrap=True)
"""Standard error; where nothing can be told there, the work goes on (`cli.escapes.Unheard`)."""
output = SafeConsole()
"""Standard output, for the commands whose result is a table."""
TABLE_WIDTH = 120


def is_screen() -> bool:
    """Return whether a picture can be drawn over: not on a pipe, though colours may be forced on
    it, and not on a terminal that cannot move its cursor.
    """
    return console.is_terminal and console.file.isatty() and not console.is_dumb_terminal


def print_whole(table: Table) -> None:
    """Print a table on standard output, wider than the terminal if need be: a figure cut in two is
    none.
    """
    width = max(output.width, TABLE_WIDTH)
    SafeConsole(width=width).print(table)


def print_path(path: str | os.PathLike[str]) -> None:
    """Print a path on a line of standard output: as it is for a program, escaped for a person."""
    if sys.stdout.isatty():
        output.print(os.fsdecode(path), soft_wrap=True)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(path) + os.linesep.encode())
    sys.stdout.flush()


def complain(sentence: str) -> None:
    """Say what went wrong, on one line."""
    console.print(f"stemstream: {' '.join(sentence.split())}")


def tell(sentence: str) -> None:
    """Say what a user should know, on one line."""
    console.print(escaped(sentence, keep=""), style="dim")


class _Relay(logging.Handler):
    """Tells what the library logs for its user to know (INFO and above)."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(record.getMessage())


def relay_log() -> None:
    """Tell what the library logs, from now on."""
    for name in ("streamer", "ringbuffer"):
        log = logging.getLogger(name)
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
    return progress_of(
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        SpeedColumn(),
        TimeRemainingColumn(compact=True),
    )


def progress_of(*columns: ProgressColumn, disable: bool = False) -> Progress:
    """Return a bar with a task's name and these columns; nothing when not on a terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        *columns,
        console=console,
        transient=True,
        # rich would write to the bar's terminal what is for standard output, and the bar itself
        # through standard error as others have it, which escapes what moves the cursor
        redirect_stdout=False,
        redirect_stderr=False,
        disable=disable or not is_screen(),
    )
