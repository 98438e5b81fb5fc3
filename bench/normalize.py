"""What normalization does for quality: SDR per mode and level, on songs whose true stems are known.

    python bench/normalize.py [SONG...] [--levels -40 0 6]

A SONG is a stem file (.stem.mp4) or a folder with mixture, drums, bass, other and vocals as FLAC or
WAV; default: the song of the package stempeg. Each is scaled, separated by the embedded model and
scaled back: a mode that does not mind the level has the same SDR in each column. The SDR is that of
the MDX challenge over the whole song, the mean over its stems. The last lines give the mean of all
songs and stems. Ten seconds a song.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from whole_process import introduction, parser, stempeg_song, table

from streamer.audio import Samples
from streamer.files import Source, open_source, reference_stems
from streamer.level import TrackStatistics
from streamer.models import load
from streamer.models.separator import Bag
from streamer.processor import Processor
from streamer.separation import Survey
from streamer.settings import Settings

MODES = ("none", "track", "rms")
BLOCK_FRAMES = 65536


def main() -> None:
    wish = _arguments()
    print(introduction("stemstream", "demucs", "torch"))
    bag = load("htdemucs_mini")
    rows, every = [], []
    for song in wish.songs or [stempeg_song()]:
        mix, truth, samplerate = read_song(song)
        scores = np.array(
            [
                [sdr(bag, mix, truth, samplerate, mode, level) for level in wish.levels]
                for mode in MODES
            ]
        )
        every.append(scores)
        rows += lines(song.name.removesuffix(".stem.mp4"), scores)
    if len(every) > 1:
        rows += lines(f"mean of {len(every)}", np.mean(every, axis=0))
    head = ["song", "normalize", *(f"{level:+g} dB" for level in wish.levels)]
    print(table(head, rows))


def lines(song: str, scores: Samples) -> list[list[str]]:
    """Return the table's lines of ``(modes, levels)`` scores."""
    return [
        [song if mode == MODES[0] else "", mode, *(f"{score:.2f}" for score in some)]
        for mode, some in zip(MODES, scores, strict=True)
    ]


def read_song(song: Path) -> tuple[Samples, dict[str, Samples], int]:
    """Return the mix and its true stems, ``(frames, channels)`` each, and their sample rate."""
    if song.is_dir():
        found = {file.stem: file for file in song.iterdir() if file.suffix in (".flac", ".wav")}
        mixture = found.pop("mixture")
        truth: Mapping[str, Source] = {name: open_source(file) for name, file in found.items()}
    else:
        mixture, truth = song, reference_stems(song) or {}
    if not truth:
        raise SystemExit(f"{song} has no true stems; name a .stem.mp4, or a folder of stems")
    with open_source(mixture) as source:
        return read(source), {name: read(stem) for name, stem in truth.items()}, source.samplerate


def read(source: Source) -> Samples:
    """Return all of a source, ``(frames, channels)``."""
    with source:
        return np.concatenate(list(source.blocks()))


def sdr(
    bag: Bag, mix: Samples, truth: Mapping[str, Samples], samplerate: int, mode: str, level: float
) -> float:
    """Return the mean SDR in dB of the stems of a mix that is separated at another level."""
    gain = np.float32(10 ** (level / 20))
    settings = Settings(normalize=mode, clip_mode="none", shifts=0, overlap=0.25)
    statistics = TrackStatistics()
    statistics.feed(mix * gain)
    processor = Processor(settings, bag=bag)
    survey = Survey(statistics.mean, statistics.deviation)
    processor.prepare(samplerate, BLOCK_FRAMES, mix.shape[1], survey)
    parts = [stems.data for stems in processor.feed(mix * gain)]
    parts += [stems.data for stems in processor.flush()]
    stems = dict(zip(processor.names, np.concatenate(parts, axis=1) / gain, strict=True))
    scores = []
    for name, true in truth.items():
        frames = min(len(true), len(mix))
        error = np.square(true[:frames] - stems[name][:frames], dtype=np.float64).sum()
        energy = np.square(true[:frames], dtype=np.float64).sum()
        if energy > 1e-6 * true.size:  # a stem that is silent has no SDR
            scores.append(10 * np.log10(energy / max(error, 1e-20)))
    return float(np.mean(scores))


def _arguments() -> argparse.Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("songs", type=Path, nargs="*", metavar="SONG")
    arguments.add_argument("--levels", type=float, nargs="+", default=[-40.0, 0.0, 6.0])
    return arguments.parse_args()


if __name__ == "__main__":
    main()
