"""The windows of a stream, and how much each window counts at every frame.

A schedule is a value; `windows` cuts by it and `stitch` blends by it. Positions are absolute frames
at the model's sample rate.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np

from streamer.audio import Samples
from streamer.errors import SettingsError

MAX_SHIFT_SECONDS = 0.5
"""The longest shift of `demucs.apply.apply_model`."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """Windows of ``window_frames`` that start at ``first_start + k * hop_frames``.

    ``weight`` is ``(window_frames,)``, float32, above zero: how much a window's frames count in the
    weighted mean where windows overlap. ``first_start`` is 0, or negative for a shift.

    A model may see more than the window. ``around`` is how many more frames it sees before and
    after; None leaves that to the model, which wants its window in the middle.
    """

    window_frames: int
    hop_frames: int
    weight: Samples
    first_start: int = 0
    around: tuple[int, int] | None = None

    @classmethod
    def offline(cls, window_frames: int, overlap: float, *, first_start: int = 0) -> Schedule:
        """Return the schedule of `demucs.apply.apply_model`, whose weights are a triangle.

        Raises:
            SettingsError: the overlap leaves no hop.
        """
        hop_frames = int((1 - overlap) * window_frames)
        if not 0 < hop_frames <= window_frames:
            raise SettingsError(f"overlap={overlap} must be at least 0 and under 1; try 0.25")
        rising = np.arange(1, window_frames // 2 + 1)
        falling = np.arange(window_frames - window_frames // 2, 0, -1)
        triangle = np.concatenate([rising, falling]).astype(np.float32)
        return cls(window_frames, hop_frames, triangle / triangle.max(), first_start)

    @classmethod
    def live(
        cls, input_frames: int, hop_frames: int, lookahead_frames: int, crossfade_frames: int
    ) -> Schedule:
        """Return a schedule for low delay: a model that sees ``input_frames`` gives the last few.

        ::

            |<------------------- input ------------------->|
            |    context    | crossfade | ... | crossfade | |
            |               |<---- hop ----->|<-lookahead->|

        The window proper is a hop plus a crossfade long. The crossfade at its end is part of the
        lookahead; the rest of the lookahead comes after it. The context before it is past, and
        costs no delay. Frames can leave ``hop_frames + lookahead_frames`` after they came.

        Raises:
            SettingsError: the parts do not fit into each other.
        """
        window_frames = hop_frames + crossfade_frames
        after = lookahead_frames - crossfade_frames
        before = input_frames - window_frames - after
        if hop_frames < 1 or not 0 <= crossfade_frames <= min(hop_frames, lookahead_frames):
            raise SettingsError(
                f"crossfade={crossfade_frames} frames must be at most the hop ({hop_frames}) and "
                f"the lookahead ({lookahead_frames}); try a shorter crossfade"
            )
        if before < 0:
            raise SettingsError(
                f"hop and lookahead take {hop_frames + lookahead_frames} frames, and the model "
                f"sees {input_frames} at a time; try a shorter hop or lookahead"
            )
        rising = (np.arange(crossfade_frames) + 0.5) / max(crossfade_frames, 1)
        flat = np.ones(hop_frames - crossfade_frames)
        weight = np.concatenate([rising, flat, rising[::-1]]).astype(np.float32)
        return cls(window_frames, hop_frames, weight, around=(before, after))

    def shifted(self, frames: int) -> Schedule:
        """Return the same windows, moved within the input: more past, less future."""
        assert self.around is not None
        assert 0 <= frames <= self.around[1]
        return replace(self, around=(self.around[0] + frames, self.around[1] - frames))


def shift_offsets(members: int, shifts: int, samplerate: int, seed: int) -> list[list[int]]:
    """Return where each shifted pass of each member starts: ``[member][shift]``, frames, at most 0.

    The draws and their order are as in `demucs.apply.apply_model`. They come from a generator of
    their own, so no other random numbers change them. No shifts means one pass that starts at 0.
    """
    if not shifts:
        return [[0] for _ in range(members)]
    max_shift = int(MAX_SHIFT_SECONDS * samplerate)
    draw = random.Random(seed)  # noqa: S311 (no secret: demucs draws its shifts the same way)
    return [[draw.randint(0, max_shift) - max_shift for _ in range(shifts)] for _ in range(members)]


def live_shifts(members: int, shifts: int, farthest: int, seed: int) -> list[list[int]]:
    """Return how far into the past each pass of each live window looks: ``[member][shift]``.

    One of them is not shifted. The others are shifted by at most ``farthest`` frames: the part of
    the lookahead that is not given out.
    """
    draw = random.Random(seed)  # noqa: S311 (no secret)
    return [[0, *(draw.randint(0, farthest) for _ in range(shifts - 1))] for _ in range(members)]
