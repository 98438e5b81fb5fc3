"""Turn bursts of stems into a steady stream with a constant delay."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from streamer.audio import Samples, Stems
from streamer.pipeline.fifo import Fifo

FADE_FRAMES = 128
"""How long late stems take to fade out and in again: 2.7 ms at 48 kHz."""

Fallback: TypeAlias = Literal["dry", "silence"]
"""What plays where there are no stems: the mix, shared by them evenly so that they still add up to
it, or nothing."""


class ConstantDelay:
    """Gives stems out by position, ``frames`` after their mix went in.

    With a ``fallback`` stems may be late or have gaps. Stems that are missing at their time are
    replaced, and thrown away if they come later. The fade begins `FADE_FRAMES` before the stems run
    out; ``missing_frames`` counts faded and replaced frames. Without a ``fallback`` stems must be
    there in time.
    """

    def __init__(
        self, names: tuple[str, ...], frames: int, channels: int, fallback: Fallback | None = None
    ) -> None:
        self._names = names
        self._position = -frames
        self._fallback = fallback
        self._mix = Fifo()
        self._stems = Fifo()  # the stems, and last where they are real
        self._nothing = np.zeros((len(names) + 1, 0, channels), np.float32)
        self._level = 1.0
        self.missing_frames = 0
        self._mix.push(np.zeros((frames, channels), np.float32))
        silence = np.zeros((len(names) + 1, frames, channels), np.float32)
        silence[-1] = 1
        self._stems.push(silence)

    @property
    def frames(self) -> int:
        """How many frames of the mix wait for their time."""
        return self._mix.frames

    def take_in(self, mix: Samples) -> None:
        """Take the mix that went in, ``(frames, channels)``."""
        self._mix.push(mix)

    def push(self, stems: Stems) -> None:
        """Take stems in order; those that are too late are thrown away."""
        late = max(0, self._position - stems.start_frame)
        if late >= stems.frames:
            return
        real = np.ones_like(stems.mix)
        if stems.wet is not None:
            real *= stems.wet[:, np.newaxis]
        self._stems.push(np.concatenate([stems.data, real[np.newaxis]])[:, late:])

    def pop(self, frames: int, *, ending: bool = False) -> Stems:
        """Return the next ``frames``, at most those that went in; ``ending``: no stems follow."""
        start = self._position
        self._position += frames
        ready = self._stems.frames
        taken = self._stems.pop(min(frames, ready)) if frames and ready else self._nothing
        mix = self._mix.pop(frames) if frames else self._nothing[0]
        if self._fallback is None:
            assert taken.shape[1] == frames, "the stems of a file are never late"
            return Stems(start, self._names, taken[:-1], mix)
        missing = frames - taken.shape[1]
        taken = np.pad(taken, ((0, 0), (0, missing), (0, 0)))
        self.missing_frames += int(np.count_nonzero(taken[-1, :, 0] < 0.5))
        fading_from = frames if ending else min(max(ready - FADE_FRAMES, 0), frames)
        taken = taken * self._ramp(frames, fading_from)
        wet = taken[-1]
        data = taken[:-1]
        if self._fallback == "dry":
            data += (1 - wet) * mix / np.float32(len(self._names))
        return Stems(start, self._names, data, mix, wet[:, 0])

    def _ramp(self, frames: int, fading_from: int) -> Samples:
        """Return ``(frames, 1)``: rises to 1 for that many frames, then falls to 0."""
        steps = np.ones(frames, np.float32)
        steps[fading_from:] = -1
        ramp = np.empty(frames, np.float32)
        for part in (slice(0, fading_from), slice(fading_from, frames)):
            ramp[part] = np.clip(self._level + np.cumsum(steps[part]) / FADE_FRAMES, 0, 1)
            if len(ramp[part]):
                self._level = float(ramp[part][-1])
        return ramp[:, np.newaxis]
