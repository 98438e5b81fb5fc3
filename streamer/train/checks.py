"""Look at the songs before the training: what is wrong, and what is worth knowing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

from streamer.train.corpora import Corpora
from streamer.train.corpus import ENVELOPE_HZ, Track
from streamer.words import counted

FEW_SONGS = 10
FEW_JUDGES = 5
SHOWN = 3
CLIPPED_SAMPLES = 20
SAME = 0.87
"""Two songs are the same recording if their envelopes correlate by more than this: among 94 songs
of 7 s no two came over 0.78, and each came over 0.92 with 5 s of itself.
"""
SMOOTHER = np.array([1, 2, 3, 2, 1]) / 9
"""Smooths envelopes: each is measured from the start of its own file."""
SAME_SECONDS = 4
STEADY = 0.05
"""An envelope with a smaller deviation, relative to its mean, tells nothing of the song."""


def findings(corpora: Corpora, frames: int) -> list[str]:
    """Return what was found, a sentence each; ``frames`` is the length of an example."""
    tracks = [*corpora.training, *corpora.validation]
    return [
        _summary(corpora),
        *_left_alone(corpora),
        *_few(corpora),
        *_rates(tracks),
        *_short(corpora.training, frames),
        *_silent(corpora.training),
        *_not_judged(corpora.validation),
        *_clipped(tracks),
        *_leaks(corpora),
    ]


def _summary(corpora: Corpora) -> str:
    names = ", ".join(track.song.name for track in corpora.validation[:SHOWN])
    more = len(corpora.validation) - SHOWN
    return (
        f"{counted(len(corpora.training), 'song')} to learn from, "
        f"{corpora.seconds / 60:.1f} minutes; "
        f"{len(corpora.validation)} to judge by: {names}{f' and {more} more' if more > 0 else ''}"
    )


def _left_alone(corpora: Corpora) -> Iterator[str]:
    if corpora.left_alone:
        yield f"{corpora.left_alone} in test/, which is left alone"


def _few(corpora: Corpora) -> Iterator[str]:
    if len(corpora.training) < FEW_SONGS:
        yield (
            f"{_count(corpora.training)} few to learn from: what is learnt may fit nothing else; "
            "watch the SDR"
        )
    if len(corpora.validation) < FEW_JUDGES:
        yield f"{_count(corpora.validation)} few to judge by: the SDR is a rough measure"


def _rates(tracks: Sequence[Track]) -> Iterator[str]:
    other = [track for track in tracks if track.song.samplerate != track.samplerate]
    if other:
        rates = sorted({track.song.samplerate for track in other})
        yield (
            f"{_songs(other)} converted to the model's {tracks[0].samplerate} Hz from "
            f"{', '.join(map(str, rates))} Hz"
        )


def _short(tracks: Sequence[Track], frames: int) -> Iterator[str]:
    short = [track for track in tracks if track.frames < frames]
    if short:
        seconds = min(track.frames for track in short) / short[0].samplerate
        window = math.floor(seconds * 10) / 10
        advice = f"; try --window {window:g}" if window else ""
        yield f"{_songs(short)} shorter than an example, which silence fills up{advice}"


def _silent(tracks: Sequence[Track]) -> Iterator[str]:
    for number, stem in enumerate(tracks[0].song.stems):
        silent = [track for track in tracks if track.is_silent(number)]
        if len(silent) == len(tracks):
            yield (
                f"no song to learn from has {stem}: nothing is learnt of it; look whether its "
                "files are there"
            )
        elif silent:
            yield (
                f"{_songs(silent)} without {stem}; if it can be heard in another stem, leave that "
                "song out, or it teaches what is wrong"
            )


def _not_judged(tracks: Sequence[Track]) -> Iterator[str]:
    for number, stem in enumerate(tracks[0].song.stems):
        if all(track.is_silent(number) for track in tracks):
            yield f"no song to judge by has {stem}: the SDR is that of the others"


def _clipped(tracks: Sequence[Track]) -> Iterator[str]:
    for number, stem in enumerate(tracks[0].song.stems):
        clipped = [track for track in tracks if track.survey.clipped[number] >= CLIPPED_SAMPLES]
        if clipped:
            yield f"{_songs(clipped)} with {stem} clipped at full scale"


def _leaks(corpora: Corpora) -> Iterator[str]:
    for judge in corpora.validation:
        for track in corpora.training:
            if _plain(judge.song.name) == _plain(track.song.name):
                why = "have the same name"
            elif _share_a_recording(judge, track):
                why = "hold the same recording"
            else:
                continue
            yield (
                f"{judge.song.path} is judged by and {track.song.path} learnt from, and they {why}:"
                " scores will be too good; take one of them away"
            )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).casefold().strip()


def _share_a_recording(one: Track, other: Track) -> bool:
    """Return whether the loudness of two songs agrees for some seconds, at any shift."""
    if any(len(track.survey.envelope) < len(SMOOTHER) for track in (one, other)):
        return False
    short, long = sorted((_envelope(each) for each in (one, other)), key=len)
    span = min(len(short), 60 * ENVELOPE_HZ)
    if span < SAME_SECONDS * ENVELOPE_HZ:
        return False
    start = (len(short) - span) // 2
    excerpt = short[start : start + span]
    steady = STEADY * max(float(long.mean()), 1e-9)
    if excerpt.std() < steady:
        return False
    deviations = np.sqrt(np.maximum(_means(long**2, span) - _means(long, span) ** 2, 0))
    products = correlate(long, excerpt - excerpt.mean(), mode="valid") / span
    correlations = products / np.maximum(deviations * excerpt.std(), steady**2)
    return bool(correlations.max() > SAME)


def _envelope(track: Track) -> NDArray[np.float64]:
    envelope: NDArray[np.float64] = np.convolve(track.survey.envelope, SMOOTHER, mode="valid")
    return envelope


def _means(values: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """Return the mean of each group of values that follow each other."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means: NDArray[np.float64] = (sums[span:] - sums[:-span]) / span
    return means


def _count(tracks: Sequence[Track]) -> str:
    return counted(len(tracks), "song is", "songs are")


def _songs(tracks: Sequence[Track]) -> str:
    """Return "2 songs are (A, B)", as a sentence begins."""
    names = ", ".join(track.song.name for track in tracks[:SHOWN])
    more = f" and {len(tracks) - SHOWN} more" if len(tracks) > SHOWN else ""
    return f"{_count(tracks)} ({names}{more})"
