"""What is known of Spleeter's networks (`mask_unet`) without torch: what they see of a spectrum."""

from __future__ import annotations

from typing import Final

FFT: Final = 4096
HOP: Final = FFT // 4
BINS: Final = 1024
"""What the networks see of a spectrum: up to 11 kHz. The rest follows the mean of their masks."""
COLUMNS: Final = 512
"""How many spectra they were trained on at a time."""
HALVED: Final = 64
"""They halve columns and bins so often that both must be multiples of this."""
LEVEL_RMS: Final = 0.15
"""About the level of released music, from which they learnt."""
SCALE: Final = LEVEL_RMS * FFT**0.5
"""Those magnitudes over ours, of music with an RMS of 1: Demucs's transform is normalized."""
FLOOR: Final = 1e-10


def mirrored(columns: int) -> list[int]:
    """Return which columns are seen: a multiple of `HALVED`, after the last one backwards.

    In front of silence, which they never heard in the middle of a song, the networks lose the last
    half second. That is what a live window plays.
    """
    last = max(1, columns - 1)
    seen = range(columns + -columns % HALVED)
    return [min(last - abs(column % (2 * last) - last), columns - 1) for column in seen]
