"""The scores of songs, and their summary."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from streamer.audio import Samples
from streamer.evaluation.metrics import bss_eval, sdr


@dataclass(frozen=True)
class StemScore:
    """One stem of one song, in dB; NaN if there is no such ratio.

    ``sdr_db`` is over the whole excerpt; the others are BSS Eval v4's medians over its seconds.
    """

    sdr_db: float
    bss_sdr_db: float = math.nan
    bss_sir_db: float = math.nan
    bss_sar_db: float = math.nan


@dataclass(frozen=True)
class SongScore:
    """All stems of one song by name."""

    name: str
    seconds: float
    stems: Mapping[str, StemScore]


@dataclass(frozen=True)
class Summary:
    """One stem over all songs, or the mean of all stems, in dB.

    ``median_sdr_db`` and ``mdx_sdr_db`` are the median and the mean over songs of the SDR over the
    whole excerpt; the mean is the number of the MDX challenge. The others are medians over songs of
    BSS Eval v4. ``songs`` is how many were scored; ``silent`` is how many have a silent reference
    and are left out.
    """

    median_sdr_db: float
    mdx_sdr_db: float
    bss_sdr_db: float
    bss_sir_db: float
    bss_sar_db: float
    songs: int
    silent: int


def score(
    name: str,
    stems: Mapping[str, tuple[Samples, Samples]],
    samplerate: int,
    *,
    with_bss_eval: bool,
    with_interference: bool = True,
) -> SongScore:
    """Score a song. ``stems`` has reference and estimate of each, ``(frames, channels)``.

    SIR and SAR tell the other stems from all else, so they need all that is in the mix:
    ``with_interference`` says that it is there.

    Raises:
        SettingsError: they differ in shape, or museval is missing.
    """
    references, estimates = (np.stack(side) for side in zip(*stems.values(), strict=True))
    ratios = {"sdr_db": sdr(references, estimates)}
    if with_bss_eval:
        seconds = bss_eval(references, estimates, samplerate)
        ratios["bss_sdr_db"] = np.array([_median(stem) for stem in seconds.sdr])
        if with_interference:
            ratios["bss_sir_db"] = np.array([_median(stem) for stem in seconds.sir])
            ratios["bss_sar_db"] = np.array([_median(stem) for stem in seconds.sar])
    scores = {
        stem: StemScore(**{ratio: float(values[index]) for ratio, values in ratios.items()})
        for index, stem in enumerate(stems)
    }
    return SongScore(name, references.shape[1] / samplerate, scores)


def summarize(songs: Sequence[SongScore]) -> dict[str, Summary]:
    """Return the summary of each stem over all songs, and last, under "mean", of all stems."""
    summaries = {stem: _over_songs([song.stems[stem] for song in songs]) for stem in songs[0].stems}
    every = list(summaries.values())
    ratios = [field.name for field in fields(Summary) if field.name.endswith("_db")]
    means = {ratio: _mean([getattr(one, ratio) for one in every]) for ratio in ratios}
    summaries["mean"] = Summary(**means, songs=len(songs), silent=sum(one.silent for one in every))
    return summaries


def _over_songs(scores: Sequence[StemScore]) -> Summary:
    whole = [one.sdr_db for one in scores]
    silent = sum(map(math.isnan, whole))
    return Summary(
        median_sdr_db=_median(whole),
        mdx_sdr_db=_mean(whole),
        bss_sdr_db=_median(one.bss_sdr_db for one in scores),
        bss_sir_db=_median(one.bss_sir_db for one in scores),
        bss_sar_db=_median(one.bss_sar_db for one in scores),
        songs=len(scores) - silent,
        silent=silent,
    )


def _there(values: Iterable[float]) -> list[float]:
    return [float(value) for value in values if not math.isnan(value)]


def _median(values: Iterable[float]) -> float:
    there = _there(values)
    return float(np.median(there)) if there else math.nan


def _mean(values: Iterable[float]) -> float:
    there = _there(values)
    return float(np.mean(there)) if there else math.nan
