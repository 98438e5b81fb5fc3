"""Score estimates of songs with known stems: from a model, a bound, or files.

::

    with_model(Path("musdb18"), settings, bag, tell)         # the model separates each song
    with_bound(Path("musdb18"), settings, tell)              # settings.model names a bound
    of_files(Path("musdb18"), Path("separated"), settings, tell)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from streamer.audio import Samples
from streamer.engine import run
from streamer.errors import SourceError
from streamer.evaluation.bounds import BOUNDS
from streamer.evaluation.excerpts import Excerpt, choose_songs, read_excerpt
from streamer.evaluation.pairs import pair
from streamer.evaluation.scores import SongScore, score
from streamer.evaluation.settings import EvalSettings
from streamer.evaluation.songs import CHANNELS, Song
from streamer.files.decode.memory import MemorySource
from streamer.files.encode.rescale import rescaling_gain
from streamer.models.separator import Bag
from streamer.models.weights.registry import FOUR_STEMS
from streamer.processor import Processor

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called before a song is scored: its name, its number from 1, and how many there are."""
Skip: TypeAlias = Callable[[SourceError], None]
"""Called for a song that cannot be read, instead of scoring it."""
NEARLY_NOTHING: Final = 0.01
"""A share of the mix's energy: what a mix has beyond its stems is no more, if it is their sum."""
Estimate: TypeAlias = Callable[[Excerpt], Samples]
"""Gives the stems of an excerpt, ``(stems, frames, channels)``."""


def _refuse(error: SourceError) -> None:
    raise error


def with_model(
    folder: Path, settings: EvalSettings, bag: Bag, progress: Progress, skip: Skip = _refuse
) -> list[SongScore]:
    """Separate each song of a folder, in memory, and score it.

    Raises:
        StemstreamError: see `streamer.errors`.
    """
    songs = choose_songs(folder, bag.names, settings)
    with Processor(settings, bag=bag) as processor:

        def estimate(excerpt: Excerpt) -> Samples:
            return separate(excerpt, processor)

        return _score_all(songs, processor.names, estimate, settings, progress, skip)


def with_bound(
    folder: Path, settings: EvalSettings, progress: Progress, skip: Skip = _refuse
) -> list[SongScore]:
    """Score the bound that ``settings.model`` names on each song of a folder.

    Raises:
        StemstreamError: see `streamer.errors`.
    """
    bound, stems = BOUNDS[settings.model], settings.stems or FOUR_STEMS

    def estimate(excerpt: Excerpt) -> Samples:
        scored = [excerpt.song.stems.index(stem) for stem in stems]
        apart = excerpt.references[[*scored, *excerpt.song.beside(scored)]]
        return bound(replace(excerpt, references=apart))[: len(scored)]

    songs = choose_songs(folder, stems, settings)
    return _score_all(songs, stems, estimate, settings, progress, skip)


def of_files(
    references: Path,
    estimates: Path,
    settings: EvalSettings,
    progress: Progress,
    skip: Skip = _refuse,
) -> list[SongScore]:
    """Score the files of a folder of estimates, laid out as `stemstream separate` does.

    Raises:
        SourceError: a song or a stem has no estimate, or one of another length or rate.
        SettingsError: no song has one of the stems.
    """
    stems = settings.stems or FOUR_STEMS
    every = choose_songs(references, stems, settings.model_copy(update={"songs": None}))
    songs = every[: settings.songs]
    found = pair(songs, estimates, stems, alone=len(every) == 1)

    def estimate(excerpt: Excerpt) -> Samples:
        other = found[excerpt.song.name]
        stems = other.read(other.samplerate, excerpt.start_frame, excerpt.frames)
        missing = excerpt.frames - stems.shape[1]  # as little as `pair` lets pass
        return np.pad(stems, ((0, 0), (0, missing), (0, 0)))

    return _score_all(songs, stems, estimate, settings, progress, skip)


def separate(excerpt: Excerpt, processor: Processor) -> Samples:
    """Return the stems that a file run makes from an excerpt, ``(stems, frames, channels)``."""
    heard = np.concatenate([excerpt.before, excerpt.mixture, excerpt.after])
    source = MemorySource(excerpt.song.name, heard, excerpt.song.samplerate)
    none = np.zeros((len(processor.names), 0, CHANNELS), np.float32)
    stems = np.concatenate([none, *(stems.data for stems in run(source, processor))], axis=1)
    if processor.settings.clip_mode == "rescale":  # which files have done when they are written
        for stem in stems:
            stem *= np.float32(rescaling_gain(float(np.abs(stem).max(initial=0))))
    return stems[:, len(excerpt.before) :][:, : excerpt.frames]


def _score_all(
    songs: Sequence[Song],
    stems: Sequence[str],
    estimate: Estimate,
    settings: EvalSettings,
    progress: Progress,
    skip: Skip,
) -> list[SongScore]:
    """Score the estimates of the named ``stems`` of each song."""
    scores = []
    for number, song in enumerate(songs, 1):
        progress(song.name, number, len(songs))
        try:
            excerpt = read_excerpt(song, settings.seconds)
            estimates = estimate(excerpt)
        except SourceError as error:
            skip(error)
        else:
            scores.append(score_excerpt(excerpt, estimates, stems, settings))
    return scores


def score_excerpt(
    excerpt: Excerpt, estimates: Samples, stems: Sequence[str], settings: EvalSettings
) -> SongScore:
    """Score estimates of the named ``stems``, ``(stems, frames, channels)``."""
    song = excerpt.song
    scored = [song.stems.index(stem) for stem in stems]
    references = excerpt.references[scored]
    return score(
        song.name,
        dict(zip(stems, zip(references, estimates, strict=True), strict=True)),
        song.samplerate,
        with_bss_eval=settings.bss_eval,
        with_interference=_are_all(excerpt, scored),
    )


def _are_all(excerpt: Excerpt, scored: Sequence[int]) -> bool:
    """Return whether nothing is in the mix but the stems that are scored."""
    if len(scored) == len(excerpt.song.stems):
        return True
    rest = excerpt.mixture - excerpt.references[scored].sum(axis=0)
    others = excerpt.references[excerpt.song.beside(scored)]
    quiet = np.square(rest).sum() <= NEARLY_NOTHING * np.square(excerpt.mixture).sum()
    return bool(quiet) and not others.any()
