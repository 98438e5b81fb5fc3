"""What normalization does for quality: SDR per mode and level, on songs whose true stems are known.

    python bench/normalize.py [SONG...] [--levels -40 0 6]

A SONG is a stem file (of five streams, or of four: drums, bass, other, vocals) or a folder with
drums, bass, other and vocals as FLAC or WAV; default: the song of the package stempeg. Each is
scaled, separated by the embedded model and scaled back: a mode that does not mind the level has the
same SDR in each column. The SDR is that of the MDX challenge over the whole song, the mean over its
stems. The last lines give the mean over all songs. Half a minute a song.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
from whole_process import introduction, parser, stempeg_song, table

from streamer.audio import Samples
from streamer.files import Source, open_source, reference_stems
from streamer.models import load
from streamer.models.separator import Bag
from streamer.pipeline.level import TrackStatistics
from streamer.pipeline.separation import TrackSurvey
from streamer.processor import Processor
from streamer.settings import Settings

STEMS = ("drums", "bass", "other", "vocals")
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
        found = [file for file in song.iterdir() if file.suffix in (".flac", ".wav")]
        sources = {file.stem: open_source(file) for file in found if file.stem in STEMS}
    elif truth := reference_stems(song):
        with open_source(song) as source:
            return (
                read(source),
                {name: read(stem) for name, stem in truth.items()},
                source.samplerate,
            )
    else:
        return read_four(song)
    if set(sources) != set(STEMS):
        raise SystemExit(f"{song} must hold {', '.join(STEMS)} as FLAC or WAV")
    samplerate = sources[STEMS[0]].samplerate
    stems = {name: read(stem) for name, stem in sources.items()}
    return np.sum(list(stems.values()), axis=0), stems, samplerate


def read_four(song: Path) -> tuple[Samples, dict[str, Samples], int]:
    """Read a file of four streams, as the samples of MUSDB18 are; the mix is their sum."""
    stems = {}
    with av.open(song) as container:
        if len(container.streams.audio) != len(STEMS):
            raise SystemExit(f"{song} has no true stems; name a .stem.mp4, or a folder of stems")
        samplerate = container.streams.audio[0].rate
    for index, name in enumerate(STEMS):
        with av.open(song) as container:
            planes = [frame.to_ndarray() for frame in container.decode(audio=index)]
        stems[name] = np.concatenate(planes, axis=1).T.astype(np.float32)
    return np.sum(list(stems.values()), axis=0), stems, samplerate


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
    survey = TrackSurvey(statistics.mean, statistics.deviation)
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
