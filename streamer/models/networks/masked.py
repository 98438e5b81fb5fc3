"""HTDemucs whose branch of frequencies masks the mixture.

That of `demucs.htdemucs.HTDemucs` makes the stems' spectra anew out of few channels. A small one
learns faster to say which share of each value of the mixture's spectrum is whose.
"""

from __future__ import annotations

import torch
from demucs.htdemucs import HTDemucs

from streamer.models.networks.spectrum import compressed


class MaskedHTDemucs(HTDemucs):
    """HTDemucs that sees compressed magnitudes and gives masks, which add up to 1.

    The time branch adds its waves, as in HTDemucs. What comes out follows the level of what goes
    in. Arguments are those of HTDemucs, of which ``cac`` must be false, and ``wiener_iters`` and
    ``end_iters`` -1: neither complex values as channels nor a Wiener filter.
    """

    def _magnitude(self, z: torch.Tensor) -> torch.Tensor:
        magnitude = z.abs()
        seen: torch.Tensor = compressed(magnitude, magnitude.mean(dim=(1, 2, 3), keepdim=True))
        return seen

    def _mask(self, z: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        """Return the stems' spectra ``(batch, stems, channels, bins, columns)``."""
        return m.softmax(1) * z[:, None]
