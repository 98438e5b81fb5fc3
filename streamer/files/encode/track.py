"""Where the stems of one track go: a file each, one stem.mp4, or standard output."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, Final, Literal

import numpy as np

from streamer.audio import Stems
from streamer.errors import ModelError, OutputExistsError, SettingsError, SinkError
from streamer.files.decode.opening import STANDARD_INPUT
from streamer.files.decode.source import Source
from streamer.files.encode.file_sink import Encoding, FileSink
from streamer.files.encode.pipe import PipeSink
from streamer.files.encode.rescale import RescaleSink
from streamer.files.encode.sink import Output, Sink
from streamer.files.encode.stem_mp4 import StemMp4Sink
from streamer.files.folder import track_lock
from streamer.files.part import identity_of, sink_errors
from streamer.files.quantise import SampleFormat
from streamer.naming import FILENAME, FileName, track_name
from streamer.settings import Settings

PIPE: Final = Path("-")


def stem_paths(
    settings: Settings, model: str, source: str | Path, names: Sequence[str]
) -> dict[str, Path]:
    """Return the file of each stem, laid out as by `demucs`: ``out/model/track/stem.ext``.

    A stem.mp4 holds all stems. Standard output has no file.

    Raises:
        ModelError: the model's name cannot be the name of a folder.
    """
    if settings.out == PIPE:
        return {}
    folder = settings.out / _folder_name(model)
    track = "stdin" if str(source) == STANDARD_INPUT else track_name(source)
    trackext = Path(source).name.rpartition(".")[2]
    fields = {"track": track, "trackext": trackext, "ext": settings.format}
    if settings.format == "stem.mp4":
        template = "{track}.{ext}" if settings.filename == FILENAME else settings.filename
        return dict.fromkeys(names, folder / template.format(**fields))
    return {
        name: folder / settings.filename.format(stem=name, **fields)
        for name in map(FileName, names)
    }


def refuse_inputs(inputs: Iterable[str | Path], outputs: Iterable[Path]) -> None:
    """Make sure that no output is also an input, even under another name or through a link.

    Raises:
        OutputExistsError: writing it would replace the input.
    """
    sources: dict[tuple[int, int], str | Path] = {}
    for source in inputs:
        try:
            status = os.fstat(0) if str(source) == STANDARD_INPUT else Path(source).stat()
        except (OSError, ValueError):
            continue  # it cannot be read either; that error comes later
        sources[identity_of(status)] = source
    for output in outputs:
        try:
            source = sources.get(identity_of(output.stat()), "")
        except (OSError, ValueError):
            continue  # nothing is there, or it cannot be written either
        if source:
            raise OutputExistsError(
                f"{output} is the input {source} itself and would be replaced; choose another "
                "folder with --out, or other names with --filename"
            )


def left_to_write(paths: Mapping[str, Path]) -> dict[str, Path]:
    """Return the missing files of a track, and clean up after killed runs.

    Raises:
        SinkError: another run is writing the track, or its folder cannot be read.
    """
    missing = {}
    with track_lock(paths.values()):
        for name, path in paths.items():
            with sink_errors(path):
                if not path.is_file():
                    missing[name] = path
    return missing


class TrackSink(ABC):
    """Takes all stems of a track.

    ``outputs`` are to be committed; ``notes`` tell which of them are not exactly as asked.
    """

    outputs: Sequence[Output]
    notes: Sequence[str]

    @abstractmethod
    def write(self, stems: Stems) -> None:
        """Write the next stretch."""


@contextmanager
def open_track(
    settings: Settings,
    source: Source,
    channels: int,
    paths: Mapping[str, Path],
    names: Sequence[str],
) -> Iterator[TrackSink]:
    """Open the outputs of a track; at the end all get their names, after an exception none.

    ``paths`` may be of some stems alone: the others are not written.

    Raises:
        SettingsError: the output cannot hold what the settings ask for.
        OutputExistsError: a file stands there that is not to be replaced.
        SinkError: an output cannot be written, or another run is writing it.
    """
    lock = track_lock(paths.values()) if paths else nullcontext()
    with lock:
        track = _open(settings, source, channels, paths, names)
        outputs = track.outputs
        try:
            yield track
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
) -> TrackSink:
    if settings.out == PIPE:
        return _Pipe(settings, source, channels, len(names))
    if settings.format == "stem.mp4":
        return _StemFile(settings, source, channels, paths)
    return _Files(settings, source, channels, paths)


class _Files(TrackSink):
    """A file for each stem."""

    def __init__(
        self, settings: Settings, source: Source, channels: int, paths: Mapping[str, Path]
    ) -> None:
        if settings.format == "raw":
            raise SettingsError("format=raw goes to standard output alone; give --out -")
        assert settings.format != "stem.mp4"
        encoding = Encoding(
            format=settings.format,
            sample_format=_depth(settings, source),
            mp3_bitrate=settings.mp3_bitrate,
            mp3_preset=settings.mp3_preset,
            dither=settings.dither,
            seed=settings.seed,
        )
        self._sinks: dict[str, Sink] = {}
        try:
            for name, path in paths.items():
                sink: Sink = FileSink(
                    path,
                    source.samplerate,
                    channels,
                    encoding,
                    tags=source.tags,
                    overwrite=settings.overwrite,
                )
                self._sinks[name] = sink
                if settings.clip_mode == "rescale":
                    self._sinks[name] = RescaleSink(sink, path.parent, channels)
        except BaseException:
            for sink in self._sinks.values():
                sink.abort()
            raise
        self.outputs = list(self._sinks.values())
        self.notes = sorted({sink.note for sink in self.outputs if sink.note})
        if settings.format in ("wav", "flac"):
            self.notes += _lost_bits(settings, source)

    def write(self, stems: Stems) -> None:
        for name, sink in self._sinks.items():
            sink.write(stems[name])


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
            dither=settings.dither,
            seed=settings.seed,
            tags=source.tags,
            overwrite=settings.overwrite,
        )
        self.outputs = [self._sink]
        self.notes = [self._sink.note] if self._sink.note else []

    def write(self, stems: Stems) -> None:
        self._sink.write(stems.mix, stems.data)


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
            settings.format,
            _depth(settings, source),
            frames=source.frames,
            dither=settings.dither,
            seed=settings.seed,
        )
        self.outputs = [self._sink]
        self.notes = _lost_bits(settings, source)

    def write(self, stems: Stems) -> None:
        side_by_side = stems.data.transpose(1, 0, 2).reshape(stems.frames, -1)
        self._sink.write(np.ascontiguousarray(side_by_side))


def _depth(settings: Settings, source: Source) -> SampleFormat:
    wanted = settings.sample_format
    return source.sample_format if wanted == "source" else wanted


def _lossless(settings: Settings, source: Source) -> Literal["int16", "int24"] | None:
    """What ALAC a stem.mp4 holds; None: AAC, which is what 16 bits are there."""
    return None if _depth(settings, source) == "int16" else "int24"


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


def _folder_name(model: str) -> FileName:
    """As demucs: the model's name, less what a folder cannot be called."""
    path = Path(model)
    file = path.suffix in (".safetensors", ".th")
    name = path.stem if file else model.removeprefix("hf://").replace("/", "_")
    try:
        return FileName(name)
    except ValueError as error:
        raise ModelError(f"the stems go to a folder named as the model: {error}") from None
