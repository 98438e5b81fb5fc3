"""What tests find in recordings."""

from __future__ import annotations

import numpy as np

from streamer.audio import Samples


def lag(early: Samples, late: Samples) -> int:
    """By how many frames the first channel of one comes later than that of the other."""
    size = 1 << (len(early) + len(late)).bit_length()
    spectrum = np.fft.rfft(late[:, 0], size) * np.fft.rfft(early[:, 0], size).conj()
    found = int(np.fft.irfft(spectrum, size).argmax())
    return found if found < len(late) else found - size
