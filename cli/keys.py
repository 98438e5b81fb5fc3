"""The keys of the live screen, and a terminal that gives them one by one.

::

    1-6             mute a stem, and select it      shift 1-6    solo it
    left right      select a stem                   m s          mute or solo the selected one
    up down         its gain, by 1 dB               + = -        the master gain
    d               dry                             q            quit
    l               learn: the next key says which control, then a MIDI controller's is moved
    p               the page's address as a QR code; again: the next page's; another key: back

Shift with a number is another sign on every keyboard; those of usual Latin layouts are known,
and ``s`` works on all.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import sys
import termios
import tty
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Any, Final, Self

from streamer.errors import StemstreamError
from streamer.live.control.controls import Controls
from streamer.live.mixing.levels import MAX_DB, OFF_DB

STEP_DB: Final = 1.0
_LOWEST_DB: Final = -60.0  # one step under this fader position is off
_READ_BYTES: Final = 1024


class Act(Enum):
    """What a key does."""

    MUTE = auto()
    SOLO = auto()
    SELECT = auto()
    GAIN = auto()
    MASTER = auto()
    DRY = auto()
    LEARN = auto()
    PAGE = auto()
    QUIT = auto()


@dataclass(frozen=True, slots=True)
class Action:
    """A key's meaning. ``stem`` is its place, None: the selected one; ``step`` is up or down."""

    act: Act
    stem: int | None = None
    step: int = 0


_SHIFTED: Final = ("!", '@"', "#£§·", "$", "%", "^&")  # US, UK, German, Spanish, Italian

KEYS: Final[Mapping[str, Action]] = {
    **{str(place + 1): Action(Act.MUTE, place) for place in range(6)},
    **{sign: Action(Act.SOLO, place) for place, row in enumerate(_SHIFTED) for sign in row},
    "m": Action(Act.MUTE),
    "s": Action(Act.SOLO),
    "left": Action(Act.SELECT, step=-1),
    "right": Action(Act.SELECT, step=1),
    "up": Action(Act.GAIN, step=1),
    "down": Action(Act.GAIN, step=-1),
    **dict.fromkeys("+=", Action(Act.MASTER, step=1)),  # = is + without shift
    **dict.fromkeys("-_", Action(Act.MASTER, step=-1)),
    "d": Action(Act.DRY),
    "l": Action(Act.LEARN),
    "p": Action(Act.PAGE),
    "q": Action(Act.QUIT),
}
"""What each key does, by the key as `KeyDecoder` names it."""


class Keyboard:
    """Plays keys on the controls; knows which stem is selected, and which page's code is shown.

    Args:
        controls: what the keys act on.
        pages: tells how many pages the run has now.
    """

    def __init__(self, controls: Controls, pages: Callable[[], int] = lambda: 0) -> None:
        self._controls, self._pages = controls, pages
        self._page: int | None = None
        self._place = 0
        self._learning = False

    @property
    def selected(self) -> str:
        """The stem that the arrows act on."""
        return self._controls.mixer.stems[self._place]

    @property
    def page(self) -> int | None:
        """The place of the page whose QR code is to be shown; None: the mix is."""
        return self._page if self._page is not None and self._page < self._pages() else None

    def press(self, key: str) -> str:
        """Do what a key says, and return what was done in words; "" where it means nothing."""
        shown, self._page = self.page, None
        action = KEYS.get(key) or KEYS.get(key.lower())
        if action is not None and action.act is Act.PAGE:
            return self._show_page(0 if shown is None else shown + 1)
        if action is None or shown is not None:  # any key leads back, and does nothing else
            return ""
        mixer = self._controls.mixer
        if self._learning and action.act is not Act.SELECT:
            self._learning = False
            if action.act is not Act.QUIT:
                return self._learn(action)
        match action.act:
            case Act.QUIT:
                self._controls.quit()
                return "quit"
            case Act.LEARN:
                self._learning = True
                return "learn: press the key of a control"
            case Act.DRY:
                mixer.set_dry(not mixer.state.dry)
                return "dry" if mixer.state.dry else "stems"
            case Act.MASTER:
                mixer.set_master(stepped(mixer.state.master_db, action.step))
                return f"master {shown_db(mixer.state.master_db)}"
            case _:
                return self._press_stem(action)

    def _show_page(self, place: int) -> str:
        if not self._pages():
            return "there is no page; --page 8080 serves one"
        self._page = place
        return ""

    def _learn(self, action: Action) -> str:
        """Have a MIDI controller learn what a key acts on."""
        if action.act is Act.LEARN:
            return "learn: nothing"
        place = self._place if action.stem is None else action.stem
        if place >= len(self._controls.mixer.stems):
            return ""
        stem = self._controls.mixer.stems[place]
        addresses = {
            Act.MASTER: "/master/gain",
            Act.DRY: "/dry",
            Act.MUTE: f"/stem/{stem}/mute",
            Act.SOLO: f"/stem/{stem}/solo",
            Act.GAIN: f"/stem/{stem}/gain",
        }
        address = addresses[action.act]
        try:
            self._controls.learn(address)
        except StemstreamError as error:
            return str(error)
        return f"learn: move a knob or press a button for {address}"

    def _press_stem(self, action: Action) -> str:
        mixer = self._controls.mixer
        place = self._place if action.stem is None else action.stem
        if place >= len(mixer.stems):
            return ""
        if action.act is Act.SELECT:
            place = (place + action.step) % len(mixer.stems)
        self._place = place
        stem = mixer.stems[place]
        controls = mixer.state.stems[stem]
        match action.act:
            case Act.MUTE:
                mixer.set_mute(stem, not controls.mute)
                return f"{stem} {'on' if controls.mute else 'muted'}"
            case Act.SOLO:
                mixer.set_solo(stem, not controls.solo)
                return f"{stem} {'no longer solo' if controls.solo else 'solo'}"
            case Act.GAIN:
                mixer.set_gain(stem, stepped(controls.gain_db, action.step))
                return f"{stem} {shown_db(mixer.state.stems[stem].gain_db)}"
            case _:
                return f"{stem} selected"


def stepped(gain_db: float, step: int) -> float:
    """Return a gain some steps up or down, on whole steps, between off and the top."""
    if gain_db <= OFF_DB:
        return _LOWEST_DB if step > 0 else OFF_DB
    moved = (round(gain_db / STEP_DB) + step) * STEP_DB
    return OFF_DB if moved < _LOWEST_DB else min(moved, MAX_DB)


def shown_db(gain_db: float) -> str:
    """Return a gain for people: "-3.0 dB", or "off"."""
    return "off" if gain_db <= OFF_DB else f"{gain_db:+.1f} dB"


_ARROWS: Final = {"A": "up", "B": "down", "C": "right", "D": "left"}
# CSI and SS3 sequences; then what may still become one
_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*(?P<csi>[@-~])|O(?P<ss3>[@-~]))")
_UNFINISHED: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?")


class KeyDecoder:
    """Turns a terminal's bytes into keys: a character, "up", "down", "left" or "right".

    Other keys that send a sequence are swallowed whole. Any split of the bytes gives the same
    keys; `flush` drops what never became one.
    """

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> list[str]:
        """Return the keys that are complete."""
        text = self._rest + self._utf8.decode(data)
        keys: list[str] = []
        at = 0
        while at < len(text) and not (text[at] == "\x1b" and _UNFINISHED.fullmatch(text, at)):
            sequence = _SEQUENCE.match(text, at)
            if sequence:
                keys += filter(None, [_ARROWS.get(sequence["csi"] or sequence["ss3"])])
                at = sequence.end()
            else:
                alt = text[at] == "\x1b"
                keys += [] if alt else [text[at]]
                at += 2 if alt and text[at + 1] != "\x1b" else 1
        self._rest = text[at:]
        return keys

    def flush(self) -> None:
        """Forget the start of a sequence: that was the escape key."""
        self._rest = ""


class Terminal:
    """The terminal's keys one by one, without echo, inside a ``with``; Ctrl-C works as ever.

    Where standard input is no terminal, or this process is in the background, there are no keys,
    and nothing fails or stops.
    """

    def __init__(self, fd: int | None = None) -> None:
        self._fd = _standard_input() if fd is None else fd
        self._saved: list[Any] | None = None
        self._decoder = KeyDecoder()

    def __enter__(self) -> Self:
        self._ready()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._saved is not None and self._fd is not None and self._in_front():
            with contextlib.suppress(termios.error):  # it may be closed by now
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)
        self._saved = None

    def read(self, timeout_seconds: float = 0.0) -> list[str]:
        """Return the keys pressed since; wait for the first one, at most ``timeout_seconds``."""
        if self._fd is None or not self._ready():
            select.select([], [], [], timeout_seconds)
            return []
        if not select.select([self._fd], [], [], timeout_seconds)[0]:
            self._decoder.flush()
            return []
        try:
            data = os.read(self._fd, _READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._fd = None  # the terminal was closed
        return self._decoder.feed(data)

    def _ready(self) -> bool:
        """Take the terminal, again if need be: a shell sets it back while we are stopped."""
        if self._fd is None or not os.isatty(self._fd) or not self._in_front():
            return False
        try:
            mode = termios.tcgetattr(self._fd)
            if mode[tty.LFLAG] & (termios.ICANON | termios.ECHO):
                self._saved = self._saved or mode
                tty.setcbreak(self._fd, termios.TCSADRAIN)
        except termios.error:
            return False
        return True

    def _in_front(self) -> bool:
        # from the background, reading or setting the terminal would stop the whole process
        try:
            return self._fd is not None and os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return True  # another terminal than the one that started us stops nobody


def _standard_input() -> int | None:
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None
