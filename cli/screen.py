"""What a live run shows at the terminal: a screen with keys, or a line for each change of state."""

from __future__ import annotations

import math
from queue import SimpleQueue

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.terminal import console, tell
from streamer.live.keys import Keyboard, Terminal, shown_db
from streamer.live.session import LiveSession
from streamer.live.status import Meter, State, Status

REFRESH_SECONDS = 0.1
METER_FLOOR_DB = -60.0
METER_CELLS = 24
KEYS = "1-6 mute   shift solo   arrows select, gain   + - master   d dry   q quit"
_COLOURS = {State.RUNNING: "green", State.DEGRADED: "yellow", State.WAITING: "red"}


def show(session: LiveSession, said: SimpleQueue[str]) -> None:
    """Show a run until it ends, and what it has said meanwhile."""
    if console.is_terminal:
        _show_screen(session, said)
    else:
        _show_lines(session, said)


def tell_all(said: SimpleQueue[str]) -> None:
    """Tell what was said: here, since a terminal may be held (Ctrl-S) and a pipe be full."""
    while not said.empty():
        tell(said.get())


def _show_screen(session: LiveSession, said: SimpleQueue[str]) -> None:
    keyboard, done = Keyboard(session), ""
    with Terminal() as terminal, Live(console=console, auto_refresh=False) as live:
        while not session.wait(0):
            for key in terminal.read(REFRESH_SECONDS):
                done = keyboard.press(key) or done
            tell_all(said)
            live.update(_screen(session, keyboard, done), refresh=True)
        live.update(Text(""), refresh=True)


def _show_lines(session: LiveSession, said: SimpleQueue[str]) -> None:
    shown: object = None
    while not session.wait(REFRESH_SECONDS):
        tell_all(said)
        status = session.status()
        if (status.state, status.reason, status.rung) != shown:
            shown = (status.state, status.reason, status.rung)
            tell(line(status))


def line(status: Status) -> str:
    """Return a run's state on one line."""
    why = " ".join(word for word in (status.reason.value, status.detail) if word)
    return (
        f"{status.state.value}{f' ({why})' if why else ''}: {status.model}, delay "
        f"{status.delay_seconds * 1000:.0f} ms, {_clock(status)}, "
        f"load {status.load:.0%}, {status.dry_share:.1%} dry, {status.xruns} xruns, "
        f"{status.dropped_frames} frames dropped, {status.deadline_misses} missed windows, "
        f"{status.gaps} gaps"
    )


def _screen(session: LiveSession, keyboard: Keyboard, done: str) -> Group:
    status, mix = session.status(), session.mixer.state
    stems = Table("", "stem", "level", "gain", "", box=None, pad_edge=False)
    for number, (name, controls) in enumerate(mix.stems.items(), 1):
        marks = " ".join(
            word for word, on in (("mute", controls.mute), ("solo", controls.solo)) if on
        )
        stems.add_row(
            str(number),
            Text(name, style="reverse" if name == keyboard.selected else ""),
            _bar(status.stems.get(name, Meter()), dim=not mix.heard(name)),
            shown_db(controls.gain_db),
            marks,
        )
    outputs = Table("output", "level", box=None, pad_edge=False)
    for port, meters in status.outputs.items():
        for channel, meter in enumerate(meters, 1):
            outputs.add_row(f"{port} {channel}", _bar(meter))
    rows: list[RenderableType] = [
        Text(line(status), style=_COLOURS.get(status.state, "")),
        stems,
        outputs,
        Text(f"master {shown_db(mix.master_db)}   {'DRY   ' if mix.dry else ''}{done}"),
    ]
    if status.recording:
        rows.append(Text(f"recording {status.recording}"))
    return Group(*rows, Text(KEYS, style="dim"))


def _bar(meter: Meter, *, dim: bool = False) -> Text:
    """Return a meter: filled up to the RMS, a mark at the peak."""

    def cells(level: float) -> int:
        decibels = 20 * math.log10(level) if level > 0 else -math.inf
        share = 1 - max(decibels, METER_FLOOR_DB) / METER_FLOOR_DB
        return min(METER_CELLS, round(share * METER_CELLS))

    rms, peak = cells(meter.rms), cells(meter.peak)
    bar = "█" * rms + "░" * (METER_CELLS - rms)
    if peak:
        bar = bar[: peak - 1] + "▌" + bar[peak:]
    style = "dim" if dim else "red" if meter.peak >= 1 else "green"
    return Text(bar, style=style)


def _clock(status: Status) -> str:
    """Return where in the song it is and how long that is, or else for how long it has run."""
    if status.song_seconds is None:
        return _hours(status.played_frames / max(status.samplerate, 1))
    length = status.song_length_seconds
    return _hours(status.song_seconds) + (f" of {_hours(length)}" if length is not None else "")


def _hours(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
