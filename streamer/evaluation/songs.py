"""Songs with their true stems, in the usual layouts of data sets.

::

    songs = find_songs(Path("musdb18"))
    songs[0].name, songs[0].split, songs[0].seconds
    stems = songs[0].read(44100, start_frame=0, frames=441_000)   # (stems, frames, channels)

A song is a folder with a file for each stem (``song/vocals.flac``; a missing one is silence) or a
stem file (``song.stem.mp4``). Either may also hold the mixture; otherwise that is the sum. A song
without ``accompaniment`` has it all the same: drums, bass and other together.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import gcd
from pathlib import Path
from typing import Final

import numpy as np

from streamer.audio import Samples
from streamer.errors import SourceError
from streamer.files import MIXTURE, open_source, stem_streams
from streamer.files.decode.source import unreadable
from streamer.models.weights.registry import FOUR_STEMS
from streamer.pipeline.channels import repair, to_model
from streamer.pipeline.resample import make_resampler, resampled_frames

_LOG: Final = logging.getLogger(__name__)

SPLITS: Final = ("train", "test")
"""The folders of a data set with the layout of MUSDB."""
CHANNELS: Final = 2
SUFFIXES: Final = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".w64", ".caf"}
)
"""The endings of audio files in a song's folder."""
UNEQUAL_SECONDS: Final = 0.05
"""How far the lengths of a song's files may differ: codecs round them up to packets."""
ACCOMPANIMENT: Final = "accompaniment"
PARTS: Final = tuple(stem for stem in FOUR_STEMS if stem != "vocals")
"""What is the accompaniment together, where it has no file of its own."""
MARGIN_SECONDS: Final = 0.1
"""A resampler sees this much on either side of a stretch: then the result is as if cut from
the whole."""


@dataclass(frozen=True)
class Recording:
    """One audio stream of a file; None is its default one."""

    path: Path
    stream: int | None = None

    def read(self, start_frame: int, frames: int) -> Samples:
        """Return these frames, or as many as there are, ``(frames, channels)``, float32.

        WAV, FLAC and MP4 are read from there on; all others are decoded from their start.

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
    """A song with known stems; nothing of it is held in memory.

    ``recordings`` has for each of ``stems`` what sounds together in it: one, several, or none where
    it is silent. ``frames`` and ``samplerate`` (in Hz) are those of its files. ``split`` is "train"
    or "test" in a data set with splits, else "". ``path`` is the folder or stem file.
    """

    name: str
    path: Path
    stems: tuple[str, ...]
    recordings: tuple[tuple[Recording, ...], ...]
    mixture_recording: Recording | None
    samplerate: int
    frames: int
    split: str = ""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames / self.samplerate

    def frames_at(self, samplerate: int) -> int:
        """Return its length in frames at a sample rate in Hz."""
        return resampled_frames(self.frames, self.samplerate, samplerate)

    def read(self, samplerate: int, start_frame: int = 0, frames: int | None = None) -> Samples:
        """Return a stretch of all stems, ``(stems, frames, 2)``, float32.

        ``start_frame`` and ``frames`` count at the wanted ``samplerate``; None means all that
        follow. Fewer come at the end of the song. A mono file is doubled.

        Raises:
            SourceError: a file cannot be read, or is shorter than it says.
        """
        heard = self._heard(samplerate, start_frame, frames)
        shape = next(iter(heard.values())).shape
        stems = np.zeros((len(self.recordings), *shape), np.float32)
        for stem, recordings in zip(stems, self.recordings, strict=True):
            for one in recordings:
                stem += heard[one]
        return stems

    def beside(self, stems: Sequence[int]) -> list[int]:
        """Return which stems are neither these nor in them: a sum has its parts."""
        known = set(chain.from_iterable(self.recordings[stem] for stem in stems))
        return [
            stem
            for stem, recordings in enumerate(self.recordings)
            if stem not in stems and not known.issuperset(recordings)
        ]

    def read_mixture(
        self, samplerate: int, start_frame: int = 0, frames: int | None = None
    ) -> Samples:
        """Return a stretch of the mixture, ``(frames, 2)``; see `read`."""
        if self.mixture_recording is None:
            heard = self._heard(samplerate, start_frame, frames)
            mixture: Samples = np.sum(list(heard.values()), axis=0)
            return mixture
        return self._stretch(self.mixture_recording, samplerate, start_frame, frames)

    def _heard(
        self, samplerate: int, start_frame: int, frames: int | None
    ) -> dict[Recording, Samples]:
        """Return a stretch of each recording of its stems: two of them may share one."""
        return {
            one: self._stretch(one, samplerate, start_frame, frames)
            for one in dict.fromkeys(chain.from_iterable(self.recordings))
        }

    def _stretch(
        self, recording: Recording, samplerate: int, start_frame: int, frames: int | None
    ) -> Samples:
        whole = self.frames_at(samplerate)
        begin = min(start_frame, whole)
        end = whole if frames is None else min(begin + frames, whole)
        if begin == end:
            return np.zeros((end - begin, CHANNELS), np.float32)
        # both grids meet once in this many frames: a resampler that starts there gives the same
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
        """Return exactly these frames in stereo, even if a codec ends a little early."""
        audio = recording.read(start_frame, frames)
        missing = frames - len(audio)
        if missing > UNEQUAL_SECONDS * self.samplerate:
            raise SourceError(
                f"{recording.path} ends {missing / self.samplerate:.2f} s before the song "
                f"{self.name} does; it is damaged or cut short, get it again"
            )
        return np.concatenate(
            [to_model(audio, CHANNELS), np.zeros((missing, CHANNELS), np.float32)]
        )


def find_songs(folder: Path, stems: Sequence[str] = FOUR_STEMS) -> list[Song]:
    """Return all songs of a data set, in the order of their names.

    ``folder`` is a song, contains songs, or has folders ``train`` and ``test`` that contain songs.

    Raises:
        SourceError: there is no song, or a file of one cannot be read or is damaged; it is named.
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
    if not os.path.isdir(folder):  # noqa: PTH112 (Path's raises where it may not look)
        raise SourceError(f"{folder} is no folder; name one that holds songs with their stems")
    try:
        return [
            song
            for split in ("", *SPLITS)
            for path in _candidates(folder, split)
            if _may_be_read(path) and (song := _song(path, tuple(stems), split))
        ]
    except OSError as error:
        raise unreadable(str(error.filename or folder), error) from error


def _candidates(folder: Path, split: str) -> Iterator[Path]:
    """Yield what may be a song: the folder itself, or each entry in it or in a split."""
    place = folder / split
    if not place.is_dir():
        return
    if not split:
        yield folder
    for path in sorted(place.iterdir()):
        if not path.name.startswith(".") and (split or path.name not in SPLITS):
            yield path


def _may_be_read(path: Path) -> bool:
    """Return False for a folder that may not be read, as a disk's lost+found, and tell it."""
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        _LOG.warning("%s may not be read, and is left out", path)
        return False
    return True


def _song(path: Path, stems: tuple[str, ...], split: str) -> Song | None:
    found = _recordings(path, {*stems, MIXTURE})
    if ACCOMPANIMENT in stems and ACCOMPANIMENT not in found:
        found |= _recordings(path, PARTS)
    mixture = found.pop(MIXTURE, None)
    if not found:
        return None
    samplerate, frames = _shape([*found.values(), *([mixture] if mixture else [])])
    return Song(
        name=path.resolve().name if path.is_dir() else path.name.split(".stem.")[0],
        path=path,
        stems=stems,
        recordings=tuple(_sounding(name, found) for name in stems),
        mixture_recording=mixture,
        samplerate=samplerate,
        frames=frames,
        split=split,
    )


def _recordings(path: Path, names: Container[str]) -> dict[str, Recording]:
    if path.is_dir():
        return {name: Recording(file) for name, file in _stem_files(path, names).items()}
    streams = stem_streams(path).items()
    return {name: Recording(path, stream) for name, stream in streams if name in names}


def _sounding(stem: str, found: Mapping[str, Recording]) -> tuple[Recording, ...]:
    parts = PARTS if stem == ACCOMPANIMENT and stem not in found else (stem,)
    return tuple(found[part] for part in parts if part in found)


def _stem_files(folder: Path, names: Container[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = path.stem
        if name not in names or path.suffix.lower() not in SUFFIXES:
            continue
        if name in found:
            raise SourceError(f"{found[name]} and {path} are both the {name}; leave one of them")
        found[name] = path
    return found


def _shape(recordings: Sequence[Recording]) -> tuple[int, int]:
    """Return the sample rate and the number of frames of all of a song's files."""
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
