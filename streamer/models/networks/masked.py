"""HTDemucs whose frequency branch masks the mixture.

In `demucs.htdemucs.HTDemucs` this branch makes new spectra for the stems from few channels. A small
network learns faster to share out each value of the mixture's spectrum.
"""

from __future__ import annotations

import torch
from demucs.htdemucs import HTDemucs

from streamer.models.networks.spectrum import compressed


class MaskedHTDemucs(HTDemucs):
    """HTDemucs that sees compressed magnitudes and gives masks, which add up to 1.

    The time branch adds its waves, as in HTDemucs. The output follows the level of
    the input. It takes the arguments of HTDemucs; ``cac`` must be false, and ``wiener_iters`` and
    ``end_iters`` -1: neither complex values as channels nor a Wiener filter.
    """

    def _magnitude(self, z: torch.Tensor) -> torch.Tensor:
        magnitude = z.abs()
        seen: torch.Tensor = compressed(magnitude, magnitude.mean(dim=(1, 2, 3), keepdim=True))
        return seen

    def _mask(self, z: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        """Return the stems' spectra ``(batch, stems, channels, bins, columns)``."""
        return m.softmax(1) * z[:, None]
