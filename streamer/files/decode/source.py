"""What a source is: audio that is read once, block by block, and never held whole."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from streamer.audio import Samples
from streamer.errors import SourceError
from streamer.files.quantise import SampleFormat

BLOCK_FRAMES = 65536


class Source(ABC):
    """One stream of audio with what is known about it before it is read.

    ``name`` is the track's name without its extension, ``frames`` its length where that is certain
    before it is read (None: it is not), ``seconds`` its length for a progress bar (may be a guess,
    or None), ``tags`` title, artist and so on, ``sample_format`` the least that holds its samples
    (16 bits where a codec keeps none of them as they were), ``notes`` one sentence for each thing
    about how it is read that the user should know, ``losses`` one for each thing that could not be
    read, complete once ``blocks()`` has ended.
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

        One pass: ``reopen()`` starts the next. NaN and infinite samples come as they stand.

        Raises:
            SourceError: reading failed before anything was decoded.
        """

    @abstractmethod
    def reopen(self) -> None:
        """Start over from the first frame.

        Raises:
            SourceError: the input is a pipe, or is gone.
        """

    @abstractmethod
    def seek(self, frame: int) -> None:
        """Have ``blocks()`` begin at a frame, and tell no losses any more.

        Raises:
            SourceError: the input is a pipe, or is gone.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file; closing twice does nothing."""

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
    """The sentence for a source that held fewer frames than it states."""
    return (
        f"{label} is damaged or cut short: {frames / samplerate:.1f} s of"
        f" {claimed / samplerate:.1f} s decoded"
    )


def unreadable(label: str, error: OSError) -> SourceError:
    """The sentence for an input that the operating system does not let us read."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return SourceError(f"{label} does not exist; check the path")
    if error.errno in (errno.EACCES, errno.EPERM):
        return SourceError(f"{label} may not be read; give yourself permission to read it")
    if error.errno == errno.ENAMETOOLONG:
        return SourceError(f"{label} is longer than a path may be; use a shorter name")
    return SourceError(f"{label} cannot be read ({error.strerror or error}); check the disk")
