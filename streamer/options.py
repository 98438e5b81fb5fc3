"""The options of functions that take settings, for type checkers: the fields of the settings.

A test compares them with the settings, which check the values and hold their defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

from streamer.presets import Preset
from streamer.settings import Library, Precision, ProjectKind, ResamplingEngine, SampleFormat


class StreamOptions(TypedDict, total=False):
    """The fields of `streamer.settings.StreamSettings`."""

    preset: Preset | None
    model: str
    repo: str | Path | None
    trust_checkpoint: bool
    device: str
    backend: Literal["auto", Library]
    precision: Precision | None
    overlap: float
    shifts: int
    window: float | None
    hop: float | None
    lookahead: float | None
    crossfade: float | None
    seed: int
    torch_num_threads: int | None
    stems: str | Sequence[str] | None
    two_stems: str | None
    other_method: Literal["add", "minus", "none"]
    normalize: Literal["rms", "track", "none"]
    clip_mode: Literal["soft", "rescale", "clamp", "none"]
    loudness: float | None
    residual: bool
    conserve: bool
    sample_format: Literal[SampleFormat, "source"]
    dither: bool
    resampler: ResamplingEngine


class SongOptions(StreamOptions, total=False):
    """The fields of `streamer.settings.Settings` that are not of files that are written."""

    stream: int | None
    jobs: int
    batch: int


class FileOptions(SongOptions, total=False):
    """The fields of `streamer.settings.Settings`."""

    out: str | Path
    format: Literal["wav", "flac", "mp3", "ogg", "opus", "m4a", "stem.mp4", "raw"]
    filename: str
    mp3_bitrate: int
    mp3_preset: int
    overwrite: bool
    resume: bool
    project: ProjectKind | None
