"""The live screen as lines of text: a look at a run in, what fits the terminal out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from cli.keys import shown_db
from streamer.live.mixing.state import MixState
from streamer.live.status import Meter, State, Status
from streamer.words import counted

METER_FLOOR_DB: Final = -60
MARKS_DB: Final = (0, METER_FLOOR_DB, -12, -24, -36, -48)
"""The first ones go before the others where there is no room for all."""
LEAST_CELLS, MOST_CELLS = 12, 48
GAIN_CELLS: Final = 8
MARKS: Final = "mute solo"
MOST_TOLD: Final = 3
TOO_SMALL: Final = "the QR code needs a larger window"
CODE_STYLE: Final = "bright_white on black"
"""Light on dark whatever the terminal's colours: not all cameras read the other way round."""
_COLOURS: Final = {State.RUNNING: "green", State.DEGRADED: "yellow", State.WAITING: "red"}


def facts(status: Status) -> list[str]:
    """Return a run's state in words; each belongs on one line."""
    why = ": ".join(word for word in (status.reason.value, status.detail) if word)
    return [
        f"{status.state.value}{f' ({why})' if why else ''}: {status.model}",
        f"delay {status.delay_seconds * 1000:.0f} ms",
        _place(status),
        f"load {status.load:.0%}",
        f"{status.dry_share:.1%} dry",
        counted(status.xruns, "xrun"),
        f"{counted(status.dropped_frames, 'frame')} dropped",
        counted(status.deadline_misses, "missed window"),
        counted(status.device_losses, "device loss", "device losses"),
    ]


def picture(
    status: Status,
    mix: MixState,
    selected: str,
    done: str,
    told: Sequence[str],
    size: tuple[int, int],
    *,
    pages: int = 0,
) -> list[Text]:
    """Return the lines of the screen, at most as many as ``size`` (width, height) has.

    ``selected`` is the stem that the arrows act on, ``done`` what the last key did, ``told`` what
    the run has said, ``pages`` how many pages it has. Where there is no room for all, the outputs
    are cut before what was said last.
    """
    width, height = size
    names = [*mix.stems, *(name for name, _ in _outputs(status, mix))]
    margin = 2 + max(map(cell_len, names)) + 1
    cells = width - margin - GAIN_CELLS - len(MARKS) - 2
    cells = max(LEAST_CELLS, min(cells, MOST_CELLS))
    colour = _COLOURS.get(status.state, "")
    head = [Text(line, style=colour) for line in flowed(facts(status), width, ", ")]
    stems = [
        Text(" " * margin + scale(cells) + " dB"),
        *_stems(status, mix, selected, margin, cells),
    ]
    outputs = [
        Text.assemble(f"  {name}".ljust(margin), bar(meter, cells))
        for name, meter in _outputs(status, mix)
    ]
    foot = [Text(f"master {shown_db(mix.master_db)}   {'DRY   ' if mix.dry else ''}{done}")]
    if status.recording:
        foot += map(Text, flowed(["recording", *status.recording.split(" ")], width, " "))
    keys = [Text(line, style="dim") for line in flowed(_keys(len(mix.stems), pages), width, "   ")]
    room = max(0, height - len(head) - len(stems) - len(foot) - len(keys))
    lines = [line for one in told[-MOST_TOLD:] for line in flowed(one.split(" "), width, " ")]
    said = [Text(line, style="dim") for line in lines[-min(len(lines), room) :]] if room else []
    above = [*head, *stems, *outputs[: room - len(said)], *foot, *said]
    return [*above[: max(0, height - len(keys))], *keys][:height]


def code_picture(told: str, code: str, size: tuple[int, int]) -> list[Text]:
    """Return the lines of the screen that show a page's address: in words, and as a QR code.

    ``size`` is width and height. Where the code does not fit, that is said; a ``code`` of one line
    is a sentence.
    """
    width, height = size
    head = flowed(told.split(" "), width, " ")
    keys = flowed(["p next page", "any other key back"], width, "   ")
    lines = code.splitlines()
    room = height - len(head) - len(keys)
    if len(lines) == 1:
        lines = flowed(code.split(" "), width, " ")
    elif len(lines) > room or max(map(cell_len, lines)) > width:
        lines = flowed(TOO_SMALL.split(" "), width, " ")
    shown = [*map(Text, head), *(Text(line, style=CODE_STYLE) for line in lines)]
    return [*shown, *(Text(line, style="dim") for line in keys)][:height]


def flowed(facts: Sequence[str], width: int, between: str) -> list[str]:
    """Return facts in lines, none of them broken but where it is longer than a line."""
    room = max(1, width - cell_len(between.rstrip()))
    lines: list[str] = []
    for fact in facts:
        separator = between
        for piece in [fact] if cell_len(fact) <= room else _pieces(fact, room):
            if lines and cell_len(f"{lines[-1]}{separator}{piece}") <= room:
                lines[-1] += f"{separator}{piece}"
            else:
                lines[-1:] = [*(f"{line}{separator.rstrip()}" for line in lines[-1:]), piece]
            separator = " "
    return lines


def _pieces(fact: str, room: int) -> list[str]:
    """Return the words of a fact, cut where they are longer than a line."""
    return [
        word[at : at + room] for word in fact.split(" ") for at in range(0, len(word) or 1, room)
    ]


def scale(cells: int) -> str:
    """Return the marks over a meter, in dB, each ending where its level is."""
    signs = [" "] * cells
    for decibels in MARKS_DB:
        mark = str(decibels)
        begin = max(0, _cell(decibels, cells) - len(mark))
        if not "".join(signs[max(0, begin - 1) : begin + len(mark) + 1]).strip():
            signs[begin : begin + len(mark)] = mark
    return "".join(signs)


def bar(meter: Meter, cells: int, *, dim: bool = False) -> Text:
    """Return a meter: filled up to the RMS, a mark at the peak, red where it is full scale."""
    rms, peak = (
        _cell(20 * math.log10(level), cells) if level > 0 else 0
        for level in (meter.rms, meter.peak)
    )
    signs = "█" * rms + "░" * (cells - rms)
    if peak:
        signs = signs[: peak - 1] + "▌" + signs[peak:]
    return Text(signs, style="dim" if dim else "red" if meter.peak >= 1 else "green")


def _cell(decibels: float, cells: int) -> int:
    """Return up to which cell of a meter a level reaches."""
    return round(min(1.0, 1 - max(decibels, METER_FLOOR_DB) / METER_FLOOR_DB) * cells)


def _stems(status: Status, mix: MixState, selected: str, margin: int, cells: int) -> Iterator[Text]:
    for number, (name, controls) in enumerate(mix.stems.items(), 1):
        marks = (("mute", controls.mute), ("solo", controls.solo))
        yield Text.assemble(
            f"{number} ",
            (name, "reverse" if name == selected else ""),
            " " * (margin - 2 - cell_len(name)),
            bar(status.stems.get(name, Meter()), cells, dim=not mix.heard(name)),
            f" {shown_db(controls.gain_db):>{GAIN_CELLS}} ",
            " ".join(word for word, on in marks if on),
        )


def _outputs(status: Status, mix: MixState) -> list[tuple[str, Meter]]:
    """Return the meters of the outputs' channels that something plays on."""
    used = {(route.port, channel) for route in mix.routes for channel in route.channels}
    return [
        (f"{port} {channel}", meter)
        for port, meters in status.outputs.items()
        for channel, meter in enumerate(meters, 1)
        if (port, channel) in used or meter.peak > 0
    ]


def _keys(stems: int, pages: int) -> list[str]:
    return [
        f"1-{min(stems, 6)} mute",
        "shift solo",
        "arrows select, gain",
        "+ - master",
        "d dry",
        "l learn",
        *(["p page"] if pages else []),
        "q quit",
    ]


def _place(status: Status) -> str:
    """Return how long the run has played, or where in the song it is."""
    if status.song_seconds is None:
        return clock(status.played_frames / max(status.samplerate, 1))
    length = status.song_length_seconds
    return clock(status.song_seconds) + ("" if length is None else f" of {clock(length)}")


def clock(seconds: float) -> str:
    """Return a time as ``hh:mm:ss``."""
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
