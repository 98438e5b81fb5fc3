"""New singers out of the few there are: other pitch, other formants, doubled, in other rooms.

WORLD (Morise, Yokomori and Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system",
2016) takes a voice apart into pitch, envelope and breath, and puts it together again: ``pip install
pyworld 'setuptools<81'`` (pyworld 0.3.5 reads its own version through ``pkg_resources``). It knows
one voice at a time. So a piece is kept only if WORLD gives it back nearly as it was; where several
voices sing at once, it does not.

The licence of what is made is that of the songs: MUSDB18's is for non-commercial use, the album
"everything-is-free" is CC0. Songs that judge a model are never used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyworld
import soxr
from songs.album import SAMPLERATE, Generator, Samples, at_level, draw_level, write_song
from songs.voices import PIECE_SECONDS, VOCALS, pieces_of, songs_to_learn_from

from streamer.evaluation.songs import find_songs
from streamer.train.augment import equalize, reverberate
from streamer.train.studio import compress, double, drive

WORLD_HZ = 32000
"""WORLD works at this rate; what is above half of it comes from the voice as it was."""
SEMITONES = 4.0
FORMANTS = 0.15
MOST_TRIES = 6
"""Most pieces are silent, or several voices."""
CC0_SHARE = 0.2
"""Of the tries: the album has most of the minutes, but few singers."""
LEAST_VOICED = 0.25
MOST_DISTANCE_DB = 4.5
LOWEST_HZ, HIGHEST_HZ = 65.0, 1000.0


def make(folder: Path, singers: int, musdb: Path, cc0: Path | None, seed: int) -> None:
    """Make singers of the vocals of MUSDB, and of the album; those that are there stay."""
    sources = [
        pieces_of(songs_to_learn_from(musdb)),
        pieces_of(find_songs(cc0, VOCALS)) if cc0 else [],
    ]
    there = sorted(int(path.name[-4:]) for path in folder.glob("singer-*"))
    missing = singers - len(there)
    # the tries before the last singer that is there are done
    for number in range(there[-1] + 1 if there else 0, MOST_TRIES * singers):
        if missing <= 0:
            break
        draw = np.random.default_rng([seed, number])
        pieces = sources[int(bool(sources[1]) and draw.random() < CC0_SHARE)]
        song, start = pieces[int(draw.integers(len(pieces)))]
        voice = song.read(SAMPLERATE, start, int(PIECE_SECONDS * SAMPLERATE))[0]
        singer = new_singer(voice, draw)
        if singer is not None:
            place = folder / f"singer-{number:04}"
            write_song(place, {"vocals": at_level(singer, draw_level(draw))})
            missing -= 1


def new_singer(voice: Samples, draw: Generator) -> Samples | None:
    """Return another singer ``(frames, 2)``; None where WORLD cannot follow the voice."""
    mono = voice.mean(axis=1).astype(np.float64)
    taken = _take_apart(mono)
    if taken is None:
        return None
    pitch, envelope, breath = taken
    semitones = draw.uniform(-SEMITONES, SEMITONES)
    formants = 1 + draw.uniform(-FORMANTS, FORMANTS)
    made = _put_together(
        pitch * 2 ** (semitones / 12), _stretched(envelope, formants), breath, mono
    )
    return _mixed(np.stack([made, made], axis=1).astype(np.float32), draw)


def _take_apart(mono: Samples) -> tuple[Samples, Samples, Samples] | None:
    low = soxr.resample(mono, SAMPLERATE, WORLD_HZ)
    if np.square(low).mean() < 1e-5:
        return None
    pitch, times = pyworld.harvest(low, WORLD_HZ, f0_floor=LOWEST_HZ, f0_ceil=HIGHEST_HZ)
    pitch = pyworld.stonemask(low, pitch, times, WORLD_HZ)
    if (pitch > 0).mean() < LEAST_VOICED:
        return None
    envelope = pyworld.cheaptrick(low, pitch, times, WORLD_HZ)
    breath = pyworld.d4c(low, pitch, times, WORLD_HZ)
    again = pyworld.synthesize(pitch, envelope, breath, WORLD_HZ)
    if distance_db(low, again[: len(low)]) > MOST_DISTANCE_DB:
        return None
    return pitch, envelope, breath


def _put_together(pitch: Samples, envelope: Samples, breath: Samples, mono: Samples) -> Samples:
    low = pyworld.synthesize(pitch, np.ascontiguousarray(envelope), breath, WORLD_HZ)
    made = soxr.resample(low, WORLD_HZ, SAMPLERATE)[: len(mono)]
    made = np.pad(made, (0, len(mono) - len(made)))
    above = (
        mono
        - soxr.resample(soxr.resample(mono, SAMPLERATE, WORLD_HZ), WORLD_HZ, SAMPLERATE)[
            : len(mono)
        ]
    )
    return made + above


def _stretched(envelope: Samples, factor: float) -> Samples:
    """Return envelopes ``(times, bins)`` whose formants are ``factor`` times as high."""
    bins = envelope.shape[1]
    place = np.minimum(np.arange(bins) / factor, bins - 1.001)
    below, rest = place.astype(int), place % 1
    logs = np.log(envelope + 1e-16)
    return np.exp(logs[:, below] * (1 - rest) + logs[:, below + 1] * rest)


def distance_db(one: Samples, other: Samples) -> float:
    """Return how far two sounds are apart: mean difference in 40 bands where the first sounds."""
    spectra = []
    for sound in (one, other):
        whole = sound[: len(sound) // 1024 * 1024].reshape(-1, 1024)
        power = np.square(np.abs(np.fft.rfft(whole * np.hanning(1024), axis=1)))[:, 1:]
        edges = np.unique(np.geomspace(4, 512, 41).astype(int))
        spectra.append(np.add.reduceat(power, edges[:-1], axis=1) + 1e-9 * power.max())
    logs = [10 * np.log10(spectrum) for spectrum in spectra]
    sounding = logs[0] > logs[0].max() - 45
    return float(np.abs(logs[0] - logs[1])[sounding].mean())


def _mixed(voice: Samples, draw: Generator) -> Samples:
    """Return a voice as records have it: equalizer, compressor, doubling, and a room."""
    for effect, often in (
        (equalize, 0.4),
        (compress, 0.7),
        (drive, 0.08),
        (double, 0.35),
        (reverberate, 0.65),
    ):
        if draw.random() < often:
            voice = effect(voice, draw, SAMPLERATE)
    return voice
