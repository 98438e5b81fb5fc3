"""The `Source`: audio that is read once, block by block, and never held whole."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from streamer.audio import Samples
from streamer.errors import SourceError
from streamer.files.bwf import TimeStamp
from streamer.files.marks import Mark
from streamer.files.quantise import SampleFormat

BLOCK_FRAMES = 65536


class Source(ABC):
    """One stream of audio with what is known about it before it is read.

    ``name`` is the track's name without its extension. ``frames`` is its length, or None if that is
    not certain before reading. ``seconds`` is its length for a progress bar; it may be a guess or
    None. ``tags`` are title, artist and so on. ``sample_format`` is the smallest format that holds
    its samples (16 bits for lossy codecs). ``notes`` are sentences for the user about how it is
    read. ``losses`` are sentences about parts that could not be read; they are complete when
    ``blocks()`` has ended.
    """

    name: str
    samplerate: int
    channels: int
    frames: int | None
    seconds: float | None
    tags: dict[str, str]
    sample_format: SampleFormat
    notes: Sequence[str] = ()
    losses: list[str]
    rewindable: bool

    @abstractmethod
    def blocks(self, block_frames: int = BLOCK_FRAMES) -> Iterator[Samples]:
        """Yield the audio in float32 blocks ``(frames, channels)``; only the last may be shorter.

        This works once; ``reopen()`` starts again. NaN and infinite samples come unchanged.

        Raises:
            SourceError: reading failed before anything was decoded.
        """

    def marks(self) -> Sequence[Mark]:
        """Return the places that the file names: its chapters or cue points."""
        return ()

    def time_stamp(self) -> TimeStamp:
        """Return when its sound begins, where the file tells it."""
        return TimeStamp()

    @abstractmethod
    def reopen(self) -> None:
        """Start over from the first frame.

        Raises:
            SourceError: the input is a pipe, or is gone.
        """

    @abstractmethod
    def seek(self, frame: int) -> None:
        """Make ``blocks()`` begin at a frame. Losses are no longer told.

        Raises:
            SourceError: the input is a pipe, or is gone.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file; a second time does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def cut_short(label: str, frames: int, claimed: int, samplerate: int) -> str:
    """Return the sentence for a source that has fewer frames than it states."""
    return (
        f"{label} is damaged or cut short: {frames / samplerate:.1f} s of"
        f" {claimed / samplerate:.1f} s decoded"
    )


def unreadable(label: str, error: OSError) -> SourceError:
    """Return the error for an input that the operating system does not let us read."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return SourceError(f"{label} does not exist; check the path")
    if error.errno in (errno.EACCES, errno.EPERM):
        return SourceError(f"{label} may not be read; give yourself permission to read it")
    if error.errno == errno.ENAMETOOLONG:
        return SourceError(f"{label} is longer than a path may be; use a shorter name")
    return SourceError(f"{label} cannot be read ({error.strerror or error}); check the disk")
