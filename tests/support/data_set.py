"""Songs with stems, made on the spot."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
from support.doubles import noise

from streamer.audio import Samples
from streamer.files import Lossless, StemMp4Sink
from streamer.models.weights.registry import FOUR_STEMS


def make_stems(frames: int, channels: int = 2, seed: int = 0) -> Samples:
    """Four stems of noise, ``(4, frames, channels)``, whose sum stays below full scale."""
    return np.stack([0.25 * noise(frames, channels, 10 * seed + stem) for stem in range(4)])


def write_song(
    folder: Path,
    stems: Samples,
    samplerate: int = 44100,
    names: Iterable[str] = FOUR_STEMS,
    suffix: str = ".wav",
) -> Path:
    """Write a file a stem, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, stem in zip(names, stems, strict=False):
        subtype = "FLOAT" if suffix == ".wav" else None
        soundfile.write(folder / f"{name}{suffix}", stem, samplerate, subtype=subtype)
    return folder


def write_stem_file(path: Path, mixture: Samples, stems: Samples, *, lossless: bool = True) -> Path:
    """Write a stem file at 44.1 kHz, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    alac = Lossless(24, dither=False) if lossless else None
    with StemMp4Sink(path, 44100, 2, FOUR_STEMS, lossless=alac) as sink:
        sink.write(mixture, stems)
        sink.commit()
    return path
