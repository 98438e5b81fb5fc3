"""Which windows a stream is cut into, and how much each counts at every frame.

A schedule is a value; `streamer.windows` cuts by it and `streamer.stitch` blends by it. Positions
are absolute frames at the model's sample rate.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from streamer.audio import Samples
from streamer.errors import SettingsError

MAX_SHIFT_SECONDS = 0.5
"""How far `demucs.apply.apply_model` shifts a track at most."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """Windows of ``window_frames`` that start at ``first_start + k * hop_frames``.

    ``weight`` is ``(window_frames,)``, float32, above zero: what a window's frames count in the
    weighted mean of the windows that overlap there. ``first_start`` is 0, or negative for a shift.
    """

    window_frames: int
    hop_frames: int
    weight: Samples
    first_start: int = 0

    @classmethod
    def offline(
        cls,
        window_frames: int,
        overlap: float,
        *,
        transition_power: float = 1.0,
        first_start: int = 0,
    ) -> Schedule:
        """Return the schedule of `demucs.apply.apply_model`: a triangle, to a power.

        Raises:
            SettingsError: the overlap leaves no hop.
        """
        hop_frames = int((1 - overlap) * window_frames)
        if not 0 < hop_frames <= window_frames:
            raise SettingsError(f"overlap={overlap} must be at least 0 and under 1; try 0.25")
        rising = np.arange(1, window_frames // 2 + 1)
        falling = np.arange(window_frames - window_frames // 2, 0, -1)
        triangle = np.concatenate([rising, falling]).astype(np.float32)
        weight = (triangle / triangle.max()) ** np.float32(transition_power)
        return cls(window_frames, hop_frames, weight, first_start)


def shift_offsets(members: int, shifts: int, samplerate: int, seed: int) -> list[list[int]]:
    """Return where each shifted pass of each member starts: ``[member][shift]``, frames, at most 0.

    The draws, and their order, are those of `demucs.apply.apply_model`, from a generator of their
    own: what else draws random numbers has no say. No shifts means one pass that starts at 0.
    """
    if not shifts:
        return [[0] for _ in range(members)]
    max_shift = int(MAX_SHIFT_SECONDS * samplerate)
    draw = random.Random(seed)  # noqa: S311 (no secret: demucs draws its shifts the same way)
    return [[draw.randint(0, max_shift) - max_shift for _ in range(shifts)] for _ in range(members)]
