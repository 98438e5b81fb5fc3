"""Songs with their true stems, in the layouts that data sets have.

::

    songs = find_songs(Path("musdb18"))
    songs[0].name, songs[0].split, songs[0].seconds
    stems = songs[0].read(44100, start_frame=0, frames=441_000)   # (stems, frames, channels)

A song is a folder with a file a stem (``song/vocals.flac``; one that is missing is silence) or a
stem file (``song.stem.mp4``). Either may hold the mixture too; where none does, it is the sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Final

import numpy as np

from streamer.audio import Samples
from streamer.errors import SourceError
from streamer.files import MIXTURE, open_source, stem_streams
from streamer.models.weights.registry import FOUR_STEMS
from streamer.pipeline.channels import repair, to_model
from streamer.pipeline.resample import make_resampler, resampled_frames

SPLITS: Final = ("train", "test")
"""The folders of a data set that is laid out as MUSDB is."""
CHANNELS: Final = 2
SUFFIXES: Final = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".w64", ".caf"}
)
"""What of a song's folder is taken for audio."""
UNEQUAL_SECONDS: Final = 0.05
"""How far the lengths of a song's files may differ: codecs round them up to packets."""
MARGIN_SECONDS: Final = 0.1
"""What a resampler is shown on either side of a stretch, so that it is as cut from the whole."""


@dataclass(frozen=True)
class Recording:
    """One audio stream of a file, None for its default one."""

    path: Path
    stream: int | None = None

    def read(self, start_frame: int, frames: int) -> Samples:
        """Return as many of these frames as there are, ``(frames, channels)``, float32.

        WAV, FLAC and MP4 are read from there on, all else is decoded from its start.

        Raises:
            SourceError: it cannot be read.
        """
        with open_source(self.path, self.stream) as source:
            if start_frame:
                source.seek(start_frame)
            parts = [np.zeros((0, source.channels), np.float32)]
            missing = frames
            for block in source.blocks():
                parts.append(block[:missing])
                missing -= len(parts[-1])
                if not missing:
                    break
        return repair(np.concatenate(parts))[0]


@dataclass(frozen=True)
class Song:
    """A song whose stems are known; nothing of it is held in memory.

    ``recordings`` has one for each of ``stems``, None for silence. ``frames`` and ``samplerate``
    (in Hz) are those of its files. ``split`` is "train" or "test" in a data set that tells, else
    "". ``path`` is the folder or stem file.
    """

    name: str
    path: Path
    stems: tuple[str, ...]
    recordings: tuple[Recording | None, ...]
    mixture_recording: Recording | None
    samplerate: int
    frames: int
    split: str = ""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames / self.samplerate

    def frames_at(self, samplerate: int) -> int:
        """Return how many frames it is long at a sample rate in Hz."""
        return resampled_frames(self.frames, self.samplerate, samplerate)

    def read(self, samplerate: int, start_frame: int = 0, frames: int | None = None) -> Samples:
        """Return a stretch of all stems, ``(stems, frames, 2)``, float32.

        ``start_frame`` and ``frames`` count at the wanted ``samplerate``; None is all that follow.
        Fewer come where the song ends. A mono file is given twice.

        Raises:
            SourceError: a file cannot be read, or is shorter than it says.
        """
        return np.stack(
            [self._stretch(one, samplerate, start_frame, frames) for one in self.recordings]
        )

    def read_mixture(
        self, samplerate: int, start_frame: int = 0, frames: int | None = None
    ) -> Samples:
        """Return a stretch of the mixture, ``(frames, 2)``; see `read`."""
        if self.mixture_recording is None:
            mixture: Samples = self.read(samplerate, start_frame, frames).sum(axis=0)
            return mixture
        return self._stretch(self.mixture_recording, samplerate, start_frame, frames)

    def _stretch(
        self, recording: Recording | None, samplerate: int, start_frame: int, frames: int | None
    ) -> Samples:
        whole = self.frames_at(samplerate)
        begin = min(start_frame, whole)
        end = whole if frames is None else min(begin + frames, whole)
        if recording is None or begin == end:
            return np.zeros((end - begin, CHANNELS), np.float32)
        # both grids meet once in so many frames: from there a resampler does what it does to all
        meets = self.samplerate // gcd(self.samplerate, samplerate)
        margin = 0 if samplerate == self.samplerate else round(MARGIN_SECONDS * self.samplerate)
        first = max(0, begin * self.samplerate // samplerate - margin) // meets * meets
        last = min(-(-end * self.samplerate // samplerate) + margin, self.frames)
        audio = self._whole(recording, first, last - first)
        resampler = make_resampler(self.samplerate, samplerate, CHANNELS, "soxr")
        audio = np.concatenate([resampler.feed(audio), resampler.flush()])
        offset = begin - first * samplerate // self.samplerate
        return audio[offset : offset + end - begin]

    def _whole(self, recording: Recording, start_frame: int, frames: int) -> Samples:
        """Return exactly these frames in stereo, although a codec may end a little early."""
        audio = recording.read(start_frame, frames)
        missing = frames - len(audio)
        if missing > UNEQUAL_SECONDS * self.samplerate:
            raise SourceError(
                f"{recording.path} ends {missing / self.samplerate:.2f} s before the song "
                f"{self.name} does; it is damaged or cut short, get it anew"
            )
        return np.concatenate(
            [to_model(audio, CHANNELS), np.zeros((missing, CHANNELS), np.float32)]
        )


def find_songs(folder: Path, stems: Sequence[str] = FOUR_STEMS) -> list[Song]:
    """Return all songs of a data set, in the order of their names.

    ``folder`` is a song itself, holds songs, or has folders ``train`` and ``test`` which do.

    Raises:
        SourceError: there is no song, or one cannot be read or is not whole; names the file.
    """
    songs = songs_in(folder, stems)
    if not songs:
        raise SourceError(
            f"{folder} holds no song with stems; put them there as "
            f"SONG/{{{','.join(stems)}}}.wav, or as SONG.stem.mp4"
        )
    return songs


def songs_in(folder: Path, stems: Sequence[str]) -> list[Song]:
    """Return the songs of a folder, if it holds any; see `find_songs`."""
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder; name one that holds songs with their stems")
    return [
        song
        for split in ("", *SPLITS)
        for path in _candidates(folder, split)
        if (song := _song(path, tuple(stems), split))
    ]


def _candidates(folder: Path, split: str) -> Iterator[Path]:
    """Yield what may be a song: a folder that is one, or what is in it; of a data set, a split."""
    place = folder / split
    if not place.is_dir():
        return
    if not split:
        yield folder
    for path in sorted(place.iterdir()):
        if not path.name.startswith(".") and (split or path.name not in SPLITS):
            yield path


def _song(path: Path, stems: tuple[str, ...], split: str) -> Song | None:
    if path.is_dir():
        found = {name: Recording(file) for name, file in _stem_files(path, stems).items()}
    else:
        found = {
            name: Recording(path, stream)
            for name, stream in stem_streams(path).items()
            if name in (*stems, MIXTURE)
        }
    mixture = found.pop(MIXTURE, None)
    if not found:
        return None
    samplerate, frames = _shape([*found.values(), *([mixture] if mixture else [])])
    return Song(
        name=path.resolve().name if path.is_dir() else path.name.split(".stem.")[0],
        path=path,
        stems=stems,
        recordings=tuple(found.get(name) for name in stems),
        mixture_recording=mixture,
        samplerate=samplerate,
        frames=frames,
        split=split,
    )


def _stem_files(folder: Path, stems: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = path.stem
        if name not in (*stems, MIXTURE) or path.suffix.lower() not in SUFFIXES:
            continue
        if name in found:
            raise SourceError(f"{found[name]} and {path} are both the {name}; leave one of them")
        found[name] = path
    return found


def _shape(recordings: Sequence[Recording]) -> tuple[int, int]:
    """Return the sample rate and the frames that all of a song's files have."""
    rates: dict[int, Path] = {}
    lengths: dict[float, Path] = {}
    for one in recordings:
        with open_source(one.path, one.stream) as source:
            if source.seconds is None:
                raise SourceError(f"{one.path} does not say how long it is; convert it to FLAC")
            rates.setdefault(source.samplerate, one.path)
            lengths.setdefault(source.seconds, one.path)
    if len(rates) > 1:
        (rate, path), (other_rate, other) = list(rates.items())[:2]
        raise SourceError(
            f"{other} has {other_rate} Hz and {path} {rate} Hz; a song's stems must have one "
            "sample rate"
        )
    short, long = min(lengths), max(lengths)
    if long - short > UNEQUAL_SECONDS:
        raise SourceError(
            f"{lengths[short]} is {short:.2f} s long and {lengths[long]} {long:.2f} s; a song's "
            "stems must be equally long"
        )
    (rate,) = rates
    return rate, round(long * rate)
