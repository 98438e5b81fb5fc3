"""Float samples to 16 or 24 bit integers, with dither."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamer.audio import Samples
from streamer.settings import SampleFormat as SampleFormat  # so that codecs need no settings


class Quantiser:
    """Rounds float32 ``(frames, channels)`` to integers of ``bits`` bits, in sample order.

    A sample x becomes x * 2**(bits - 1), as in libsndfile; values outside the range are clipped.
    With dither, triangular noise within +-1 LSB is added before rounding. Then the mean and power
    of the error do not depend on the signal (Lipshitz, Wannamaker and Vanderkooy, "Quantization and
    Dither: A Theoretical Survey", JAES 40, 1992). The noise depends on ``seed`` and the sample's
    position alone, not on the blocks. NaN becomes silence.
    """

    def __init__(self, bits: int, *, dither: bool, seed: int | Sequence[int]) -> None:
        self.bits = bits
        self._full_scale = 2 ** (bits - 1)
        self._noise = np.random.Generator(np.random.PCG64(seed)) if dither else None

    def feed(self, samples: Samples) -> NDArray[np.int32]:
        """The next samples, ``(frames, channels)``, as int32 of the same shape."""
        # float64: in float32 a sample of 24 bits has none left for the dither.
        scaled = samples.astype(np.float64) * self._full_scale
        if self._noise is not None:
            uniform = self._noise.random((*samples.shape, 2))
            scaled += uniform[..., 0] - uniform[..., 1]
        np.rint(scaled, out=scaled)
        np.clip(scaled, -self._full_scale, self._full_scale - 1, out=scaled)
        np.nan_to_num(scaled, copy=False, nan=0.0)
        whole: NDArray[np.int32] = scaled.astype(np.int32)
        return whole
