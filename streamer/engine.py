"""The file run, top to bottom: source -> processor -> sinks. It has no clock and loses nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import numpy as np

from streamer.arguments import check_kind, check_path
from streamer.audio import Samples, Stems
from streamer.checked import panel_of, stream_index
from streamer.errors import OutputExistsError, SettingsError, SourceError
from streamer.files import (
    LoudnessMeter,
    Source,
    left_to_write,
    open_source,
    open_track,
    output_paths,
    project_place,
    refuse_inputs,
    stem_paths,
)
from streamer.files.decode.pcm_sizes import riff_bodies
from streamer.files.encode.paths import ProjectPlace
from streamer.files.encode.rescale import rescaling_gain
from streamer.files.loudness import SILENCE_LUFS
from streamer.files.part import sink_errors
from streamer.measure import StemMeasure, TrackMeasure
from streamer.models.separator import Bag, Load
from streamer.naming import FILENAME, PIPE
from streamer.options import FileOptions, SongOptions
from streamer.pipeline.channels import downmix_note, repair, to_mix
from streamer.pipeline.fifo import Fifo
from streamer.pipeline.level import TrackStatistics
from streamer.pipeline.passes import Plan
from streamer.pipeline.separation import Front, TrackSurvey
from streamer.processor import Processor, load_bag
from streamer.resolve import resolve
from streamer.settings import Settings
from streamer.words import counted

BLOCK_FRAMES = 65536

Progress = Callable[[float, float | None], None]
"""Called with the seconds of music done and the seconds in all (None: not known)."""


@dataclass(frozen=True)
class TrackReport:
    """What became of one track.

    ``stems`` and ``paths`` are by name; a track that `--resume` skipped has no ``stems``.
    ``residual_db`` is the level of the residual, which is the mix minus the sum of the stems,
    against the mix. It is None unless all stems of the model were made. ``project`` is the file
    that opens them in a DAW, where one was asked for. ``gain`` is the factor that all stems have
    got for it; None where there is none, and for a track that was skipped.
    """

    source: str
    model: str
    paths: Mapping[str, Path]
    stems: Mapping[str, StemMeasure] = field(default_factory=dict)
    samplerate: int = 0
    frames: int = 0
    elapsed_seconds: float = 0.0
    residual_db: float | None = None
    notes: Sequence[str] = ()
    project: Path | None = None
    gain: float | None = None

    @property
    def skipped(self) -> bool:
        """Whether the track was finished before."""
        return not self.stems

    @property
    def seconds(self) -> float:
        """How long the track is."""
        return self.frames / self.samplerate if self.samplerate else 0.0

    @property
    def speed(self) -> float:
        """Seconds of music per second of time: a multiple of real time."""
        return self.seconds / self.elapsed_seconds if self.elapsed_seconds else 0.0


def stream(path: str | Path, **options: Unpack[SongOptions]) -> Iterator[Stems]:
    """Separate a file and yield its stems as soon as they are ready, without a gap.

    ::

        for stems in streamer.stream("song.flac", model="htdemucs_mini"):
            stems["vocals"]  # (frames, channels), float32, at the file's sample rate

    The options are the fields of `streamer.settings.Settings`, but for those of the files that
    `separate` writes.

    Raises:
        StemstreamError: see `streamer.errors`.
    """
    check_path("path", path)
    settings = resolve(options, called=str).settings
    for name, value in options.items():
        if value is not None and panel_of(Settings.model_fields[name]) == "Files":
            raise SettingsError(f"{name} is for files, and stream writes none; try separate")
    if settings.clip_mode == "rescale":
        raise SettingsError(
            "clip_mode=rescale scales each stem by its own peak, which a stream cannot wait for; "
            "try clip_mode=soft"
        )
    with (
        open_source(path, stream_index(settings.stream)) as source,
        make_processor(settings, load_bag(settings)) as processor,
    ):
        yield from run(source, processor)


def separate(
    paths: str | Path | Sequence[str | Path], **options: Unpack[FileOptions]
) -> list[TrackReport]:
    """Separate files into stem files; return a report of each.

    ::

        streamer.separate("song.flac", out="separated")

    The options are the fields of `streamer.settings.Settings`.

    Raises:
        StemstreamError: see `streamer.errors`; the tracks before the failed one are whole.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    check_kind("paths", paths, Sequence, "paths=['song.flac']")
    for path in paths:
        check_path("paths", path)
    settings = resolve(options, called=str).settings
    bag = load_bag(settings)
    check_outputs(paths, settings, bag)
    return [separate_track(path, settings, bag) for path in paths]


def check_outputs(paths: Sequence[str | Path], settings: Settings, bag: Bag) -> None:
    """Make sure that each stem has its own file, and that no such file is an input.

    Raises:
        SettingsError: two stems would go to one file, or two inputs to standard output.
        OutputExistsError: a stem would replace an input.
    """
    if settings.out == PIPE and len(paths) > 1:
        raise SettingsError("standard output takes one track; give each a run of its own")
    names = Plan.make(bag, settings).derivation.names
    writers: dict[Path, str | Path] = {}
    for path in paths:
        files = output_paths(settings, bag.name, path, names)
        if settings.format != "stem.mp4" and len(set(files)) < len(files):
            raise SettingsError(
                f"with --filename '{settings.filename}' several stems would go to one file; "
                f"try --filename '{FILENAME}'"
            )
        for file in set(files):
            if file in writers:
                rest = "" if settings.format == "stem.mp4" else "/{stem}"
                raise SettingsError(
                    f"{writers[file]} and {path} would both be written to {file}; "
                    f"try --filename '{{track}}.{{trackext}}{rest}.{{ext}}', or separate runs with "
                    "--out"
                )
            writers[file] = path
    if not settings.resume:
        refuse_inputs(paths, writers)


def make_processor(settings: Settings, bag: Bag) -> Processor:
    """Return a processor for files. It sets jobs and batch to suit the model if they are open."""
    load = Load() if settings.jobs and settings.batch else bag.best_load()
    return Processor(
        settings, bag=bag, jobs=settings.jobs or load.calls, batch=settings.batch or load.windows
    )


def run(source: Source, processor: Processor) -> Iterator[Stems]:
    """Pull a source through a processor."""
    survey = None
    if processor.settings.needs_survey:
        survey = survey_track(source, processor.plan)
    processor.prepare(source.samplerate, BLOCK_FRAMES, source.channels, survey)
    yield from processor.through(source.blocks(BLOCK_FRAMES))


def survey_track(source: Source, plan: Plan) -> TrackSurvey:
    """Read the whole track once to measure level and loudness; then rewind it.

    Raises:
        SourceError: the source cannot be read twice.
    """
    if not source.rewindable:
        raise SourceError(
            "normalize=track and loudness read the track twice, and a pipe can be read once; "
            "try normalize=rms and no loudness, or give a file"
        )
    wanted, normalize = plan.settings.loudness, plan.settings.normalize
    front, statistics = Front(plan, source.samplerate), TrackStatistics()
    meter = None
    if wanted is not None:
        meter = LoudnessMeter(source.samplerate, plan.mix_channels(source.channels))
    for block in source.blocks(BLOCK_FRAMES):
        mix = to_mix(repair(block)[0], plan.bag.channels)
        if meter is not None:
            meter.feed(mix)
        if normalize == "track":
            statistics.feed(front.feed(mix))
    statistics.feed(front.flush())
    source.reopen()
    loudness = SILENCE_LUFS if meter is None else meter.integrated()
    # a track too quiet or too short to have a loudness keeps its level
    change_db = 0.0 if wanted is None or loudness <= SILENCE_LUFS else wanted - loudness
    return TrackSurvey(statistics.mean, statistics.deviation, 10 ** (change_db / 20))


def separate_track(
    path: str | Path,
    settings: Settings,
    bag: Bag,
    *,
    progress: Progress | None = None,
    truth: Mapping[str, Source] | None = None,
) -> TrackReport:
    """Separate one file into its stems' files. The files appear when all are whole.

    ``truth`` holds true stems by name, to measure against. Frame n of each belongs to frame n of
    the file.

    Raises:
        StemstreamError: see `streamer.errors`; no file is left behind.
    """
    began = time.perf_counter()
    with (
        open_source(path, stream_index(settings.stream)) as source,
        make_processor(settings, bag) as p,
    ):
        files = _files(path, settings, bag, p.names)
        if files.finished:
            return TrackReport(str(path), bag.name, files.paths, project=files.project)
        measure = TrackMeasure(p.names, bag.names)
        known = {name: _Truth(stem) for name, stem in (truth or {}).items() if name in p.names}
        channels = p.plan.mix_channels(source.channels)
        with open_track(settings, source, channels, files.missing, p.names, files.place) as sink:
            for stems in run(source, p):
                measure.feed(stems, {name: one.take(stems.frames) for name, one in known.items()})
                sink.write(stems)
                if progress is not None:
                    done = stems.start_frame + stems.frames
                    progress(done / source.samplerate, source.seconds)
        if settings.clip_mode == "rescale":
            for stem in measure.stems.values():
                stem.scale(sink.gain if files.project else rescaling_gain(stem.peak))
        return TrackReport(
            source=str(path),
            model=bag.name,
            paths=files.paths,
            stems=measure.stems,
            samplerate=source.samplerate,
            frames=p.emitted_frames,
            elapsed_seconds=time.perf_counter() - began,
            residual_db=measure.residual_db if set(p.names) >= set(bag.names) else None,
            notes=[*_notes(source, p, sink.notes), *_kept(files)],
            project=files.project,
            gain=sink.gain if files.project else None,
        )


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of a track, and which of them are to be written."""

    paths: Mapping[str, Path]
    missing: Mapping[str, Path]
    project: Path | None
    place: ProjectPlace | None

    @property
    def finished(self) -> bool:
        """Whether all of them are there."""
        return bool(self.paths) and not self.missing and self.place is None


def _files(path: str | Path, settings: Settings, bag: Bag, names: Sequence[str]) -> _Files:
    paths = missing = stem_paths(settings, bag.name, path, names)
    place = project_place(settings, bag.name, path, paths)
    project = place.path if place else None
    if settings.resume:
        missing = left_to_write(paths)
        if place and not left_to_write({"": place.path}):
            if missing:
                every = stem_paths(settings, bag.name, path, bag.names)
                _refuse_other_stems(place, {*every.values(), *paths.values()})
            place = None
        elif place:
            _refuse_other_levels(sorted(set(paths.values()) - set(missing.values())))
    else:
        refuse_inputs([path], output_paths(settings, bag.name, path, names))
    return _Files(paths, missing, project, place)


def _refuse_other_stems(place: ProjectPlace, every: Collection[Path]) -> None:
    """Refuse a project made for other stems out of ``every``: their gain may be another."""
    opened = place.opened(every)
    if opened and opened != set(place.stems.values()):
        raise OutputExistsError(
            f"{place.path} was made for other stems, which may have another level; give those with "
            "--stems, or another folder with --out"
        )


def _refuse_other_levels(kept: Sequence[Path]) -> None:
    """Refuse stems that were not made for a project: their gain may be another."""
    for path in kept:
        with sink_errors(path):
            is_broadcast_wave = riff_bodies(path, (b"bext",))
        if not is_broadcast_wave:
            raise OutputExistsError(
                f"{path} was made without a project, and may have another level; "
                "--overwrite makes all stems and the project"
            )


def _notes(source: Source, processor: Processor, notes: Sequence[str]) -> list[str]:
    """Return what the user should know about a track, a sentence each."""
    told = [*source.notes, *source.losses, *notes, *processor.plan.bag.take_notes()]
    if note := downmix_note(source.channels):
        told.append(note)
    if processor.repaired_samples:
        repaired = counted(processor.repaired_samples, "sample was", "samples were")
        told.append(f"{repaired} no finite number, or beyond all sound, and became silence")
    return told


def _kept(files: _Files) -> Iterator[str]:
    if stems := files.paths.keys() - files.missing.keys():
        yield f"{', '.join(sorted(stems))}: left as found, since --resume replaces nothing"


class _Truth:
    """A true stem, read along with the stems that are measured against it."""

    def __init__(self, source: Source) -> None:
        self._blocks = source.blocks(BLOCK_FRAMES)
        self._queue = Fifo()
        self._channels = source.channels

    def take(self, frames: int) -> Samples:
        """Return the next ``(frames, channels)``; silence follows where the stem has ended."""
        while self._queue.frames < frames:
            silence = np.zeros((frames, self._channels), np.float32)
            self._queue.push(next(self._blocks, silence))
        return self._queue.pop(frames)
