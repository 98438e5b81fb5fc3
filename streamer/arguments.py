"""Arguments of the Python interface, checked where they come in: one sentence for each mistake."""

from __future__ import annotations

import numbers
import os
from collections.abc import Collection

import numpy as np

from streamer.audio import Samples
from streamer.errors import SettingsError

SHOWN_CHARACTERS = 60


def check_number(
    name: str, value: object, low: float, high: float, *, whole: bool = False, example: float
) -> None:
    """Make sure that a value is a number between two others, both included.

    Raises:
        SettingsError: it is not a number, or out of the range.
    """
    kind = numbers.Integral if whole else numbers.Real
    if isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high:  # type: ignore[operator]
        return
    words = "a whole number" if whole else "a number"
    raise SettingsError(
        f"{name}={told(value)} must be {words} between {low:g} and {high:g}; try {example:g}"
    )


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Make sure that a value is one of some words.

    Raises:
        SettingsError: it is not.
    """
    if not isinstance(value, str) or value not in choices:
        raise SettingsError(
            f"{name}={told(value)} must be one of {', '.join(choices)}; try {next(iter(choices))}"
        )


def check_kind(name: str, value: object, kind: type | tuple[type, ...], example: str) -> None:
    """Make sure that a value is an object of a kind.

    Raises:
        SettingsError: it is an object of another kind.
    """
    if not isinstance(value, kind):
        first = kind[0] if isinstance(kind, tuple) else kind
        raise SettingsError(f"{name}={told(value)} must be a {first.__name__}; try {example}")


def check_callable(name: str, value: object, example: str) -> None:
    """Make sure that a value can be called.

    Raises:
        SettingsError: it cannot.
    """
    if not callable(value):
        raise SettingsError(f"{name}={told(value)} must be a function; try {example}")


def check_path(name: str, value: object) -> None:
    """Make sure that a value can be a path.

    Raises:
        SettingsError: it cannot be a path.
    """
    check_kind(name, value, (str, os.PathLike), f"{name}='song.flac'")


def as_block(block: object, channels: int) -> Samples:
    """Return a block as float32 ``(frames, channels)``; it may be the block itself.

    Raises:
        SettingsError: it has another shape, or its samples are no floats.
    """
    try:
        array = np.asarray(block)
    except (TypeError, ValueError):
        raise SettingsError(
            f"block={told(block)} must be a numpy array (frames, channels) of float32"
        ) from None
    if array.dtype.kind != "f":
        raise SettingsError(
            f"the block holds {array.dtype}, and samples must be floats, full scale from -1 to 1; "
            "try block.astype('float32') / 32768 for int16"
        )
    if array.ndim != 2 or array.shape[1] != channels:
        raise SettingsError(
            f"the block is {array.shape}; prepare() was told (frames, {channels}), so prepare "
            "again or give it such blocks"
        )
    with np.errstate(over="ignore"):  # too large for float32: it becomes infinite, and is repaired
        samples: Samples = array.astype(np.float32, copy=False)
    return samples


def told(value: object) -> str:
    """Return a value in words, shortened if it is long."""
    try:
        text = repr(value)
    except Exception:  # a foreign object may do anything; a number may have 5,000 digits
        text = f"<{type(value).__name__}>"
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
