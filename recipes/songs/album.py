"""A folder of songs with their stems, as `stemstream train --data` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, sosfilt

SAMPLERATE = 44100
MEAN_RMS = 0.08
"""As loud as stems of records are, on average."""
SPREAD_DB = 3.0
RUMBLE_HERTZ = 22.0

Generator = np.random.Generator
Samples = np.ndarray


def write_song(folder: Path, stems: Mapping[str, Samples]) -> None:
    """Write stems ``(frames, 2)`` as FLAC of 16 bits; a folder that is there is a whole song."""
    part = folder.with_name(f".{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    for stem, samples in stems.items():
        soundfile.write(part / f"{stem}.flac", samples, SAMPLERATE, subtype="PCM_16")
    part.rename(folder)


def without_rumble(samples: Samples) -> Samples:
    """Return samples without what nobody hears, under 22 Hz: drives and samplers leave it."""
    rumble = butter(2, RUMBLE_HERTZ, "high", fs=SAMPLERATE, output="sos")
    filtered: Samples = sosfilt(rumble, samples, axis=0)
    return filtered


def at_level(samples: Samples, rms: float) -> Samples:
    """Return samples with this RMS where they sound, or less where they would clip."""
    samples = without_rumble(samples)
    loud = np.square(samples).mean(axis=1)
    sounding = loud[loud > 1e-4 * loud.max(initial=0.0)]
    gain = rms / max(float(np.sqrt(sounding.mean())) if sounding.size else 0.0, 1e-6)
    return samples * min(gain, 0.95 / max(float(np.abs(samples).max(initial=0.0)), 1e-6))


def draw_level(draw: Generator) -> float:
    """Return an RMS, as those of records spread."""
    return MEAN_RMS * 10 ** (draw.normal(0, SPREAD_DB) / 20)
