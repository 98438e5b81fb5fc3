"""SDR against delay: the same songs through live windows of several lengths, hops and lookaheads.

::

    curve = trace(Path("musdb18"), settings, tell)
    curve.file_run.mean_sdr_db, [(one.delay_seconds, one.mean_sdr_db) for one in curve.points]

It scores the stems that a live run would play: they equal those of a file run with the same
windows, to the bit. ``delay_seconds`` leaves out the compute budget and the devices' own delay.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamer.errors import SettingsError
from streamer.evaluation.evaluate import Progress, score_excerpt, separate
from streamer.evaluation.excerpts import choose_songs, read_excerpt
from streamer.evaluation.memo import Memo, remembering
from streamer.evaluation.scores import SongScore, Summary, summarize
from streamer.evaluation.settings import EvalSettings
from streamer.evaluation.songs import Song
from streamer.models.calibration import time_bag
from streamer.models.separator import Bag, Stride
from streamer.pipeline.passes import Plan
from streamer.processor import Processor, load_bag


@dataclass(frozen=True)
class Point:
    """One live schedule. ``compute_seconds`` is the median time of a window, on this machine."""

    window_seconds: float
    hop_seconds: float
    lookahead_seconds: float
    compute_seconds: float
    stems: dict[str, Summary]

    @property
    def delay_seconds(self) -> float:
        """The delay of a frame if computing took no time."""
        return self.hop_seconds + self.lookahead_seconds

    @property
    def mean_sdr_db(self) -> float:
        """The mean over stems of the medians over songs."""
        return self.stems["mean"].median_sdr_db


@dataclass(frozen=True)
class Curve:
    """All points, and the same songs in a file run; ``songs`` is how many were scored."""

    model: str
    songs: int
    seconds: float
    file_run: dict[str, Summary]
    points: list[Point]


def trace(folder: Path, settings: EvalSettings, bag: Bag, progress: Progress) -> Curve:
    """Separate the songs of a folder with every possible schedule of the settings' grid.

    A model that remembers the stream has one schedule, its own.

    ``bag`` is the model as the file run uses it. If only the middle of a song is scored, every run
    also hears the music around it, up to the longest window on either side. ``progress`` is called
    for each song once for the file run, and once for each window length.

    Raises:
        StemstreamError: see `streamer.errors`.
    """
    if settings.normalize == "track":
        raise SettingsError(
            "normalize=track needs the whole track first, and a live run has no whole; try "
            "normalize=rms"
        )
    if settings.clip_mode == "rescale":
        raise SettingsError(
            "clip_mode=rescale needs the peak of the whole track, and a live run has no whole; try "
            "clip_mode=clamp"
        )
    songs = choose_songs(folder, bag.names, settings)
    if bag.stride is None:
        grids = [grid for window in settings.windows if (grid := _grid(window, settings))]
    else:
        grids = [[_along_the_stream(bag.stride, bag.samplerate, settings)]]
    if not grids:
        raise SettingsError(
            "no hop and lookahead of the grid fit into its windows; try longer ones"
        )
    for grid in grids:  # now, not after the hours that the file run takes
        _check(grid)
    steps = _Steps(progress, len(songs) * (1 + len(grids)))
    file_run = settings.model_copy(update={"crossfade": None})
    (file_scores,) = _score_all(songs, bag, [file_run], steps)
    points = [point for grid in grids for point in _points(songs, grid, steps)]
    seconds = sum(song.seconds for song in file_scores)
    return Curve(bag.name, len(songs), seconds, summarize(file_scores), points)


class _Steps:
    """Counts songs over all runs."""

    def __init__(self, progress: Progress, steps: int) -> None:
        self._progress = progress
        self._steps = steps
        self._done = 0

    def next(self, name: str) -> None:
        self._done += 1
        self._progress(name, self._done, self._steps)


def _grid(window: float, settings: EvalSettings) -> list[EvalSettings]:
    """Return the settings of each schedule that fits into a window."""
    return [
        settings.model_copy(update={"window": window, "hop": hop, "lookahead": lookahead})
        for hop, lookahead in itertools.product(settings.hops, settings.lookaheads)
        if hop + lookahead <= window
    ]


def _check(grid: Sequence[EvalSettings]) -> None:
    """Refuse schedules that cannot be had."""
    bag = load_bag(grid[0])
    for one in grid:
        Plan.make(bag, one)


def _along_the_stream(stride: Stride, samplerate: int, settings: EvalSettings) -> EvalSettings:
    """Return the settings with the least delay; longer hops would give the same stems."""
    frames = {
        "window": stride.window_frames(1),
        "hop": stride.hop_frames,
        "lookahead": stride.lookahead_frames,
    }
    return settings.model_copy(update={name: n / samplerate for name, n in frames.items()})


def _points(songs: Sequence[Song], grid: Sequence[EvalSettings], steps: _Steps) -> list[Point]:
    """Return a point for each schedule of a grid of one window length."""
    bag = load_bag(grid[0])
    if bag.stride is None:
        bag, memos = remembering(bag)
        scores = _score_all(songs, bag, grid, steps, memos)
        compute_seconds = max(1, grid[0].shifts) * sum(memo.compute_seconds for memo in memos)
    else:
        scores = _score_all(songs, bag, grid, steps)
        compute_seconds = time_bag(bag).p50_seconds
    return [
        Point(one.window, one.hop, one.lookahead, compute_seconds, summarize(songs_scored))
        for one, songs_scored in zip(grid, scores, strict=True)
        if one.window is not None and one.hop is not None and one.lookahead is not None
    ]


def _score_all(
    songs: Sequence[Song],
    bag: Bag,
    runs: Sequence[EvalSettings],
    steps: _Steps,
    memos: Sequence[Memo] = (),
) -> list[list[SongScore]]:
    """Return the scores of each of the ``runs``, song by song."""
    scores: list[list[SongScore]] = [[] for _ in runs]
    for song in songs:
        steps.next(song.name)
        excerpt = read_excerpt(song, runs[0].seconds, max(runs[0].windows))
        for settings, scored in zip(runs, scores, strict=True):
            with Processor(settings, bag=bag) as processor:
                scored.append(
                    score_excerpt(excerpt, separate(excerpt, processor), processor.names, settings)
                )
        for memo in memos:
            memo.forget()
    return scores
