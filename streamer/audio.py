"""The messages that travel along the data path.

Arrays are float32: audio is ``(frames, channels)``, stems are ``(stems, frames, channels)``. Every
message carries the absolute position of its first frame, counted since the stream began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]

SLOWEST_HZ: Final = 1000
FASTEST_HZ: Final = 768_000
"""The sample rates that we accept as true."""


@dataclass(frozen=True, slots=True, eq=False)
class Stems:
    """A stretch of separated audio, with the mix it came from.

    ``data`` is ``(stems, frames, channels)``, ``mix`` is ``(frames, channels)``, both float32 at
    the sample rate of the source. ``stems["vocals"]`` is one stem, ``(frames, channels)``.
    ``wet`` is ``(frames,)``: 1 where the stems are real, 0 in the gaps of a live run, where the
    stems are silent, and between 0 and 1 where they blend. None: real everywhere.
    """

    start_frame: int
    names: tuple[str, ...]
    data: Samples
    mix: Samples
    wet: Samples | None = None

    @property
    def frames(self) -> int:
        """How many frames the stretch is long."""
        return int(self.data.shape[1])

    def __getitem__(self, name: str) -> Samples:
        if name not in self.names:
            raise KeyError(f"no stem {name!r}; there are {', '.join(self.names)}")
        stem: Samples = self.data[self.names.index(name)]
        return stem
