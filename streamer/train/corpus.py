"""Songs decoded once, into files from which examples are cut without reading the rest.

A song becomes two files. ``NAME KEY.npy`` is float16 ``(stems, frames, channels)``. ``NAME
KEY.json`` has the measurements and the checksum of the first file. It is written last. If the two
do not agree, the song is decoded again. The key stands for the song's files, the sample rate and
the stems. Half precision keeps 66 dB and more between a sample and its rounding, and can hold
samples over full scale.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ringbuffer.kept import read_sealed, write_sealed
from streamer.audio import Samples
from streamer.cache import digest
from streamer.evaluation.songs import Song
from streamer.files.part import sink_errors

STRETCH_SECONDS: Final = 60
TITLE_CHARACTERS: Final = 60
ENVELOPE_HZ: Final = 20
PLATEAU: Final = 0.999
"""A share of full scale: two nearly equal samples above it are clipping, not music."""
MOVES: Final = 1e-4
STORED: Final = np.dtype("<f2")
FULL: Final = float(np.finfo(STORED).max)
SILENCE_RMS: Final = 1e-4
"""-80 dB full scale: under it a stem is silent."""


@dataclass(frozen=True)
class SongSurvey:
    """The measurements of a song: a number for each stem, in their order.

    ``rms`` and ``peak`` are relative to full scale, ``clipped`` counts samples. ``envelope`` is the
    RMS of the mixture, `ENVELOPE_HZ` times a second.
    """

    rms: tuple[float, ...]
    peak: tuple[float, ...]
    clipped: tuple[int, ...]
    envelope: tuple[float, ...]


@dataclass(frozen=True)
class Track:
    """A song of the corpus. Its samples stay on the disk until they are needed."""

    song: Song
    path: Path
    samplerate: int
    frames: int
    survey: SongSurvey

    @cached_property
    def _samples(self) -> NDArray[np.float16]:
        samples: NDArray[np.float16] = np.load(self.path, mmap_mode="r")
        return samples

    def __getstate__(self) -> dict[str, Any]:
        # a worker maps the file itself; pickled, the map would be all that is in it
        return {name: value for name, value in self.__dict__.items() if name != "_samples"}

    def read(self, stem: int, start_frame: int, frames: int) -> Samples:
        """Return a stretch of a stem, ``(frames, channels)``, silent before and after the song."""
        begin, end = max(start_frame, 0), min(start_frame + frames, self.frames)
        stretch = np.zeros((frames, self._samples.shape[2]), np.float32)
        if begin < end:
            stretch[begin - start_frame : end - start_frame] = self._samples[stem, begin:end]
        return stretch

    def whole(self) -> Samples:
        """Return all stems, ``(stems, frames, channels)``."""
        return self._samples.astype(np.float32)

    def is_silent(self, stem: int) -> bool:
        """Return whether there is nothing in a stem."""
        return self.survey.rms[stem] < SILENCE_RMS


def decode_songs(
    songs: Sequence[Song],
    samplerate: int,
    cache: Path,
    progress: Callable[[int, int], None] = lambda done, of: None,  # noqa: ARG005
) -> list[Track]:
    """Return the songs as tracks at a sample rate in Hz; decode those that the cache lacks.

    ``progress`` is called with how many songs are ready, and how many there are.

    Raises:
        SourceError: a song cannot be read.
        SinkError: the cache cannot be written.
    """
    with sink_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
    tracks = []
    for number, song in enumerate(songs):
        progress(number, len(songs))
        tracks.append(_track(song, samplerate, cache))
    progress(len(songs), len(songs))
    return tracks


def _track(song: Song, samplerate: int, cache: Path) -> Track:
    title = re.sub(r"[^-_. \w]", "_", song.name)[:TITLE_CHARACTERS]
    name = f"{title} {_key(song, samplerate)}"
    path = cache / f"{name}.npy"
    notes = cache / f"{name}.json"
    frames = song.frames_at(samplerate)
    survey = _kept_survey(notes, path)
    if survey is None:
        with sink_errors(path):
            survey = _decode(song, samplerate, path)
            kept = {"sha256": digest(path), "survey": asdict(survey)}
            write_sealed(notes, json.dumps(kept).encode())
    return Track(song, path, samplerate, frames, survey)


def _kept_survey(notes: Path, path: Path) -> SongSurvey | None:
    """Return a song's measurements; None if they or the samples are missing or damaged."""
    try:
        kept = json.loads(read_sealed(notes))
        if digest(path) != kept["sha256"]:
            return None
        return SongSurvey(**{field: tuple(values) for field, values in kept["survey"].items()})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _key(song: Song, samplerate: int) -> str:
    facts: list[object] = [samplerate, song.stems, song.frames]
    for recording in chain.from_iterable(song.recordings):
        status = recording.path.stat()
        where = str(recording.path.resolve())
        facts += [where, recording.stream, status.st_size, status.st_mtime_ns]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def _decode(song: Song, samplerate: int, path: Path) -> SongSurvey:
    """Write a song's samples, a stretch at a time, and measure them."""
    frames = song.frames_at(samplerate)
    # other processes may write too, and nobody can have put a link there
    part = path.with_suffix(f".{secrets.token_hex(4)}.part")
    measure = _Measure(len(song.stems), samplerate)
    first = song.read(samplerate, 0, 1)
    shape = (len(song.stems), frames, first.shape[2])
    # a whole number of the envelope's steps
    step = STRETCH_SECONDS * ENVELOPE_HZ * (samplerate // ENVELOPE_HZ)
    try:
        # no memory map: where the disk is full, a write into one kills the process
        with part.open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": STORED.str, "fortran_order": False, "shape": shape}
            )
            begin = file.tell()
            for start in range(0, frames, step):
                stretch = song.read(samplerate, start, step)
                stretch[np.abs(stretch) > FULL] = 0  # what half precision cannot hold is no sound
                for number, stem in enumerate(stretch.astype(STORED)):
                    samples_before = (number * frames + start) * shape[2]
                    file.seek(begin + samples_before * STORED.itemsize)
                    file.write(stem.tobytes())
                measure.feed(stretch)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return measure.result()


class _Measure:
    """A song's survey, from one stretch after the other."""

    def __init__(self, stems: int, samplerate: int) -> None:
        self._energy = np.zeros(stems)
        self._peak = np.zeros(stems)
        self._clipped = np.zeros(stems, np.int64)
        self._samples = 0
        self._step = samplerate // ENVELOPE_HZ
        self._envelope: list[float] = []

    def feed(self, stretch: Samples) -> None:
        """Take ``(stems, frames, channels)``."""
        size = np.abs(stretch)
        self._energy += np.square(stretch, dtype=np.float64).sum(axis=(1, 2))
        self._peak = np.maximum(self._peak, size.max(axis=(1, 2), initial=0))
        still = np.abs(np.diff(stretch, axis=1)) < MOVES
        self._clipped += (still & (size[:, 1:] > PLATEAU)).sum(axis=(1, 2))
        self._samples += stretch[0].size
        mixture = np.square(stretch.sum(axis=0)).mean(axis=1)
        whole = mixture[: len(mixture) // self._step * self._step].reshape(-1, self._step)
        self._envelope += np.sqrt(whole.mean(axis=1)).round(5).tolist()

    def result(self) -> SongSurvey:
        """Return the measurements."""
        rms = np.sqrt(self._energy / max(self._samples, 1))
        return SongSurvey(
            tuple(rms.tolist()),
            tuple(self._peak.tolist()),
            tuple(self._clipped.tolist()),
            tuple(self._envelope),
        )
