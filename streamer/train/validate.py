"""Score a network on songs that it does not learn from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
import torch
from demucs.apply import apply_model

from streamer.audio import Samples
from streamer.evaluation.scores import SongScore, Summary, score, summarize
from streamer.models.backends.torch_stream import TorchStreamSeparator
from streamer.models.networks.checkpoint import Network
from streamer.models.separator import along
from streamer.pipeline.level import RunningLevel
from streamer.train.corpus import Track

OVERLAP: Final = 0.25
BSS_SECONDS: Final = 10.0
"""Seconds from the middle of each song: SIR and SAR take as long as the sound itself."""
MEAN: Final = "mean"

Scores: TypeAlias = Mapping[str, Summary]
"""By stem, and the mean of all under `MEAN`."""


def validate(
    network: Network,
    tracks: Sequence[Track],
    device: torch.device,
    *,
    with_bss: bool = False,
    after_each: Callable[[], None] = lambda: None,
) -> Scores:
    """Separate tracks as Demucs does, overlapped and without shifts, and score the stems.

    A causal network hears each track as a stream, at the level that `separate` brings it to.

    ``after_each`` is called after each track; its exceptions pass through.
    """
    songs = []
    for track in tracks:
        stems = track.whole()
        estimates = _separate(network, stems.sum(axis=0), device)
        songs.append(_score(track, stems, estimates, with_bss=with_bss))
        after_each()
    return summarize(songs)


def sdr_of(scores: Scores) -> float:
    """Return the score to judge by, in dB: the mean over stems of the medians over songs."""
    return scores[MEAN].median_sdr_db


def named(scores: Scores) -> dict[str, float]:
    """Return the ratios by names such as ``sdr_vocals``, and as ``sdr`` the score to judge by."""
    ratios = {"sdr": sdr_of(scores)}
    stems = {stem: one for stem, one in scores.items() if stem != MEAN}
    ratios |= {f"sdr_{stem}": one.median_sdr_db for stem, one in stems.items()}
    if not math.isnan(scores[MEAN].bss_sir_db):
        ratios |= {f"sir_{stem}": one.bss_sir_db for stem, one in stems.items()}
        ratios |= {f"sar_{stem}": one.bss_sar_db for stem, one in stems.items()}
    return ratios


def _separate(network: Network, mix: Samples, device: torch.device) -> Samples:
    """Return the stems of ``(frames, channels)``, ``(stems, frames, channels)``."""
    if hasattr(network, "stream_stride"):
        separator = TorchStreamSeparator(network, device)
        level = RunningLevel(int(network.samplerate), separator.level_rms)
        return level.invert(along(separator.begin(), separator.stride, level.feed(mix)))
    channels_first = torch.from_numpy(np.ascontiguousarray(mix.T))[None]
    with torch.inference_mode():
        stems = apply_model(network, channels_first, shifts=0, overlap=OVERLAP, device=device)
    separated: Samples = stems[0].transpose(1, 2).numpy()
    return separated


def _score(track: Track, stems: Samples, estimates: Samples, *, with_bss: bool) -> SongScore:
    def scored(stretch: slice, *, with_bss_eval: bool) -> SongScore:
        sides = zip(stems[:, stretch], estimates[:, stretch], strict=True)
        pairs = dict(zip(track.song.stems, sides, strict=True))
        return score(track.song.name, pairs, track.samplerate, with_bss_eval=with_bss_eval)

    whole = scored(slice(None), with_bss_eval=False)
    if not with_bss:
        return whole
    length = int(BSS_SECONDS * track.samplerate)
    start = max(0, (track.frames - length) // 2)
    middle = scored(slice(start, start + length), with_bss_eval=True)
    both = {
        stem: replace(one, sdr_db=whole.stems[stem].sdr_db) for stem, one in middle.stems.items()
    }
    return replace(whole, stems=both)
