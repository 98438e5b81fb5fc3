"""Two networks in a row: the second one hears what the first one leaves of the mix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamer.audio import Samples
from streamer.models.separator import (
    WHOLE,
    Load,
    Separator,
    best_load,
    load_ahead,
    take_notes,
)


class InRow:
    """A `Separator` of two: the stems of the second, where the first adds what it found of them.

    ::

        mix --first--> vocals -------------------------------+
         |                |                                  v
         +-------------> (-) --second--> drums, bass, other, vocals

    Stems of the first that the second has not stay in what the second hears. After the last window
    of a song there is silence, which the first network may not bear: see `mask_shape.mirrored`.

    Args:
        first: a network that takes windows of any length.
        second: decides the windows, and the stems.
    """

    def __init__(self, first: Separator, second: Separator) -> None:
        self._first, self._second = first, second
        self._parts = (first, second)
        self.names = second.names
        self.samplerate = second.samplerate
        self.channels = second.channels
        self.window_frames = second.window_frames
        self._shared = [
            (stem, second.names.index(name))
            for stem, name in enumerate(first.names)
            if name in second.names
        ]

    def input_frames(self, window_frames: int) -> int:
        """See `Separator.input_frames`."""
        return self._second.input_frames(window_frames)

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        """See `Separator.__call__`."""
        ends = [_end(window) for window in windows]
        found = self._first(_mirrored(windows, ends))
        for stems, end in zip(found, ends, strict=True):
            stems[:, end:] = 0
        rest = windows.copy()
        for stem, _ in self._shared:
            rest -= found[:, stem]
        stems = self._second(rest, kept)
        for stem, its in self._shared:
            stems[:, its] += found[:, stem, kept]
        return stems

    def best_load(self) -> Load:
        """See `Adaptive.best_load`."""
        return best_load(self._parts)

    def take_notes(self) -> list[str]:
        """See `Adaptive.take_notes`."""
        return take_notes(self._parts)

    def load_ahead(self) -> None:
        """See `LoadedLater.load_ahead`."""
        load_ahead(self._parts)


def _end(window: Samples) -> int:
    """Return the frame after the last one that is not silent."""
    if window[-1].any():
        return len(window)
    sounding = np.flatnonzero(window.any(axis=1))
    return int(sounding[-1]) + 1 if len(sounding) else 0


def _mirrored(windows: Samples, ends: Sequence[int]) -> Samples:
    """Return windows with the sound before their ``ends``, backwards, in place of silence."""
    frames = windows.shape[1]
    if min(ends) == frames:
        return windows
    return np.stack(
        [
            np.pad(window[:end], ((0, frames - end), (0, 0)), mode="symmetric") if end else window
            for window, end in zip(windows, ends, strict=True)
        ]
    )
