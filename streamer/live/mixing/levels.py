"""Gains, pans and switches: their ranges, their errors, and their factors.

A gain is in dB, between `OFF_DB` (off: nothing at all) and `MAX_DB`. A pan is -1 (left) to 1
(right). A gain that is too low is off. A gain that is too high is refused: a wrong unit (a fader
that sends 0 to 127) must not blast through a PA.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from streamer.errors import SettingsError
from streamer.sentences import shown

OFF_DB: Final = -90.0
MAX_DB: Final = 12.0
# float32 faders miss their end stops by a little
_TOLERANCE: Final = 1e-3
_LONGEST: Final = 60


def checked_gain(name: str, value: object) -> float:
    """Return a gain in dB that is between `OFF_DB` and `MAX_DB`.

    Raises:
        SettingsError: it is not a number, or over `MAX_DB`.
    """
    number = _number(value)
    if number is None or number > MAX_DB + _TOLERANCE:
        raise SettingsError(
            f"{name}={printable(value)} must be a number of dB up to {MAX_DB:g}, "
            f"and is off at {OFF_DB:g} or less; try 0"
        )
    return min(max(number, OFF_DB), MAX_DB)


def checked_more(name: str, value: object) -> float:
    """Return how much louder "me" is in a listener's mix: 0 to `MAX_DB`.

    Raises:
        SettingsError: it is not a number, or out of the range.
    """
    number = _number(value)
    if number is None or not -_TOLERANCE <= number <= MAX_DB + _TOLERANCE:
        raise SettingsError(
            f"{name}={printable(value)} must be a number of dB from 0 to {MAX_DB:g}; try 6"
        )
    return min(max(number, 0.0), MAX_DB)


def checked_me(name: str, value: object) -> str:
    """Return the stem that is "me" in a listener's mix; "" is nobody.

    Raises:
        SettingsError: it is no text.
    """
    if not isinstance(value, str):
        raise SettingsError(f'{name}={printable(value)} must be the name of a stem; try ""')
    return value


def checked_pan(name: str, value: object) -> float:
    """Return a pan between -1 and 1.

    Raises:
        SettingsError: it is not a number, or out of the range.
    """
    number = _number(value)
    if number is None or abs(number) > 1 + _TOLERANCE:
        raise SettingsError(
            f"{name}={printable(value)} must be a number between -1 (left) and 1 (right); "
            "try 0, the centre"
        )
    return min(max(number, -1.0), 1.0)


def checked_switch(name: str, value: object) -> bool:
    """Return a switch, on or off, given as true and false or as 1 and 0.

    Raises:
        SettingsError: it is something else.
    """
    # a touch surface sends floats
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    raise SettingsError(f"{name}={printable(value)} must be 0 or 1; try 1")


def linear(gain_db: float) -> float:
    """Return the factor of a gain: exactly 1 at 0 dB, exactly 0 if it is off."""
    return 0.0 if gain_db <= OFF_DB else 10.0 ** (gain_db / 20)


def balance(pan: float) -> npt.NDArray[np.float64]:
    """Return the factors ``(2,)`` of a stereo pair's left and right.

    Stems are stereo, so pan is a balance control, as on the linked stereo channels of a mixing
    desk and in Ardour's "stereo balance": unity for both sides at the centre, the near side stays
    there, the far side falls linearly to nothing. (The constant-power law, 3 dB down at the
    centre, is for placing a mono source, and would change the level of a stem nobody moved.)
    """
    return np.array([min(1.0, 1.0 - pan), min(1.0, 1.0 + pan)])


def printable(value: object) -> str:
    """Return a value for a sentence: short, and without codes that move a terminal's cursor."""
    text = shown(value)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return None if math.isnan(number) else number
