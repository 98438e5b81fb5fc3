"""Where the stems of one track go: a file each, one stem.mp4, or standard output."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from streamer.audio import Stems
from streamer.errors import SettingsError, SinkError
from streamer.files.decode.source import Source
from streamer.files.encode.beside import Beside
from streamer.files.encode.file_sink import Encoding, FileSink
from streamer.files.encode.paths import ProjectPlace
from streamer.files.encode.pipe import PipeSink
from streamer.files.encode.project_file import ProjectFile
from streamer.files.encode.rescale import RescaleSink, rescaling_gain
from streamer.files.encode.sink import Output, Sink
from streamer.files.encode.stem_mp4 import Lossless, StemMp4Sink
from streamer.files.encode.wav import PcmCoder
from streamer.files.folder import track_lock
from streamer.files.marks import tempo_of
from streamer.files.project.contents import Project
from streamer.files.quantise import SampleFormat
from streamer.naming import PIPE
from streamer.settings import Settings


class TrackSink(ABC):
    """Takes all stems of a track.

    ``outputs`` are to be committed; ``notes`` tell which of them are not exactly as asked. ``gain``
    is the factor that all stems have got in the end.
    """

    outputs: Sequence[Output]
    notes: Sequence[str]
    gain: float = 1.0

    @abstractmethod
    def write(self, stems: Stems) -> None:
        """Write the next stretch."""

    def end(self) -> None:
        """Say that there are no more: the outputs begin to seal themselves, side by side."""
        for output in self.outputs:
            output.begin_seal()


@contextmanager
def open_track(
    settings: Settings,
    source: Source,
    channels: int,
    paths: Mapping[str, Path],
    names: Sequence[str],
    project: ProjectPlace | None = None,
) -> Iterator[TrackSink]:
    """Open the outputs of a track; at the end all get their names, after an exception none.

    ``paths`` may be of some stems alone: the others are not written. A ``project`` is written where
    it is given.

    Raises:
        SettingsError: the output cannot hold what the settings ask for.
        OutputExistsError: a file stands there that is not to be replaced.
        SinkError: an output cannot be written, or another run is writing it.
    """
    targets = [*paths.values(), *([project.path] if project else [])]
    with track_lock(targets) if targets else nullcontext():
        track = _open(settings, source, channels, paths, names, project)
        outputs = track.outputs
        try:
            yield track
            track.end()
            # all files are whole before the first takes its name
            for output in outputs:
                output.seal()
            for output in outputs:
                output.commit()
        except BaseException:
            for output in outputs:
                output.abort()
                output.retract()
            raise


def _open(
    settings: Settings,
    source: Source,
    channels: int,
    paths: Mapping[str, Path],
    names: Sequence[str],
    project: ProjectPlace | None,
) -> TrackSink:
    if settings.out == PIPE:
        return _Pipe(settings, source, channels, len(names))
    if settings.format == "stem.mp4":
        return _StemFile(settings, source, channels, paths)
    return _Files(settings, source, channels, paths, project)


class _Files(TrackSink):
    """A file for each stem, encoded beside each other; and a project that opens them all.

    With a project all stems get one gain, so that their balance stays and their sum is the mix.
    """

    def __init__(
        self,
        settings: Settings,
        source: Source,
        channels: int,
        paths: Mapping[str, Path],
        project: ProjectPlace | None,
    ) -> None:
        self._sinks: dict[str, Sink] = {}
        self._encoders: dict[str, Beside] = {}
        self._project: ProjectFile | None = None
        encoding = _encoding(settings, source)
        try:
            for name, path in paths.items():
                sink: Sink = FileSink(
                    path,
                    source.samplerate,
                    channels,
                    encoding,
                    name=name,
                    tags=source.tags,
                    overwrite=settings.overwrite,
                )
                self._sinks[name] = sink
                if settings.clip_mode == "rescale":
                    self._sinks[name] = RescaleSink(sink, path.parent, channels)
            if project is not None:
                self._project = _project_file(settings, source, channels, project)
            for name, sink in self._sinks.items():
                self._encoders[name] = Beside(sink)
        except BaseException:
            for output in (*self._encoders.values(), *self._sinks.values(), self._project):
                if output is not None:
                    output.abort()
            raise
        self.outputs = [*self._encoders.values(), *([self._project] if self._project else [])]
        self.notes = sorted({sink.note for sink in self.outputs if sink.note})
        if settings.format in ("wav", "flac"):
            self.notes += _lost_bits(settings, source)
        self._one_gain = settings.project is not None
        self._frames, self._peak = 0, 0.0

    def write(self, stems: Stems) -> None:
        self._frames += stems.frames
        if self._one_gain:
            self._peak = max(self._peak, float(np.abs(stems.data).max(initial=0)))
        for name, encoder in self._encoders.items():
            encoder.do(partial(self._sinks[name].write, stems[name]))

    def end(self) -> None:
        if self._one_gain:
            self.gain = rescaling_gain(self._peak)
            for sink in self._sinks.values():
                assert isinstance(sink, RescaleSink)
                sink.gain = self.gain
        if self._project is not None:
            self._project.complete(self._frames, self.gain)
        if self.gain < 1:
            lower_db = -20 * math.log10(self.gain)
            self.notes = [
                *self.notes,
                f"all stems are {lower_db:.2f} dB lower, so that none clips; the faders of the "
                "project make up for it",
            ]
        super().end()


def _encoding(settings: Settings, source: Source) -> Encoding:
    if settings.format == "raw":
        raise SettingsError("format=raw goes to standard output alone; give --out -")
    assert settings.format != "stem.mp4"
    return Encoding(
        format=settings.format,
        sample_format=_depth(settings, source),
        mp3_bitrate=settings.mp3_bitrate,
        mp3_preset=settings.mp3_preset,
        dither=settings.dither,
        seed=settings.seed,
        stamp=None if settings.project is None else source.time_stamp(),
    )


def _project_file(
    settings: Settings, source: Source, channels: int, place: ProjectPlace
) -> ProjectFile:
    assert settings.project is not None
    project = Project(
        tracks=place.tracks,
        samplerate=source.samplerate,
        channels=channels,
        tempo=tempo_of(source.tags),
        marks=source.marks(),
    )
    return ProjectFile(place.path, settings.project, project, overwrite=settings.overwrite)


class _StemFile(TrackSink):
    """One stem.mp4: AAC, or ALAC where more than 16 bits are asked for."""

    def __init__(
        self, settings: Settings, source: Source, channels: int, paths: Mapping[str, Path]
    ) -> None:
        _refuse_rescale(settings)
        self._sink = StemMp4Sink(
            next(iter(paths.values())),
            source.samplerate,
            channels,
            list(paths),
            lossless=_lossless(settings, source),
            tags=source.tags,
            overwrite=settings.overwrite,
        )
        self._encoder = Beside(self._sink)
        self.outputs = [self._encoder]
        self.notes = [self._sink.note] if self._sink.note else []

    def write(self, stems: Stems) -> None:
        self._encoder.do(partial(self._sink.write, stems.mix, stems.data))


class _Pipe(TrackSink):
    """Standard output: the channels of all stems side by side, stem after stem."""

    def __init__(self, settings: Settings, source: Source, channels: int, stems: int) -> None:
        _refuse_rescale(settings)
        if settings.format not in ("wav", "raw"):
            raise SettingsError(
                f"standard output takes format=wav or raw, not {settings.format}; pipe it into "
                "ffmpeg for other formats"
            )
        self._sink = PipeSink(
            _standard_output(),
            source.samplerate,
            channels * stems,
            PcmCoder(_depth(settings, source), dither=settings.dither, seed=settings.seed),
            settings.format,
            frames=source.frames,
        )
        self.outputs = [self._sink]
        self.notes = _lost_bits(settings, source)

    def write(self, stems: Stems) -> None:
        side_by_side = stems.data.transpose(1, 0, 2).reshape(stems.frames, -1)
        self._sink.write(np.ascontiguousarray(side_by_side))


def _depth(settings: Settings, source: Source) -> SampleFormat:
    wanted = settings.sample_format
    return source.sample_format if wanted == "source" else wanted


def _lossless(settings: Settings, source: Source) -> Lossless | None:
    """What ALAC a stem.mp4 holds; None: AAC, which is what 16 bits are there."""
    if _depth(settings, source) == "int16":
        return None
    return Lossless(24, dither=settings.dither, seed=settings.seed)


def _lost_bits(settings: Settings, source: Source) -> list[str]:
    if _depth(settings, source) != "int16" or source.sample_format == "int16":
        return []
    deep = {"int24": "24 bits", "float32": "more than 24 bits"}[source.sample_format]
    return [f"the song has {deep} and its stems 16; --sample-format source keeps them all"]


def _standard_output() -> BinaryIO:
    if sys.stdout is None:
        raise SinkError("There is no standard output; give --out a folder instead of -")
    return sys.stdout.buffer


def _refuse_rescale(settings: Settings) -> None:
    if settings.clip_mode == "rescale":
        raise SettingsError(
            "clip_mode=rescale scales each stem by its own peak, which a pipe or a stem.mp4 "
            "cannot wait for; try clip_mode=soft"
        )
