"""The files of one recording: a WAV for each stem, valid at every moment, in a numbered folder.

A take's files are made, with headers, in a hidden folder. In one step this folder then gets the
next free number as its name, ``take-001``. So a visible take has valid files from the start, and no
run ever writes over an existing take.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Sequence
from functools import partial
from io import FileIO
from pathlib import Path

from streamer.audio import Samples
from streamer.errors import SettingsError
from streamer.files.bwf import TimeStamp, bext_body
from streamer.files.encode.wav import RIFF_LIMIT, PcmCoder, WavWriter, frame_bytes
from streamer.files.part import sink_errors
from streamer.files.quantise import SampleFormat
from streamer.live.recording.take_project import TakeProject
from streamer.naming import FileName, distinct_names
from streamer.settings import ProjectKind

_TAKE = re.compile(r"take-([0-9]+)")
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)

# How far one stem may be ahead of another: this much is lost if the disk is full.
_IN_STEP_FRAMES = 1024

# macOS has none; there fsync does the same and a little more.
_sync_data = getattr(os, "fdatasync", os.fsync)


class Take:
    """Writes all stems of a recording side by side. `sync` and `free_bytes` are for any thread.

    If the program is killed, each file is a valid WAV up to the last `append`. After a power cut
    it is whole up to the last `sync`; the header may then count more frames than there are, and
    readers stop at the end of the file.

    Raises:
        SettingsError: ``names`` cannot be file names.
        SinkError: the folder cannot be made or written to.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        samplerate: int,
        channels: int,
        *,
        sample_format: SampleFormat = "int24",
        riff_limit: int = RIFF_LIMIT,
        project: ProjectKind | None = None,
    ) -> None:
        files = _checked(names)
        self.frames = 0
        self.second_bytes = len(names) * samplerate * frame_bytes(channels, sample_format)
        self._channels = channels
        self._bext = partial(
            bext_body, samplerate=samplerate, channels=channels, sample_format=sample_format
        )
        self._names = files
        self._project: TakeProject | None = None
        self._files: list[FileIO] = []
        self._writers: list[WavWriter] = []
        with sink_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            part = self.folder = folder / f".take-{secrets.token_hex(4)}.part"
            try:
                part.mkdir()
                for name in files:
                    # Unbuffered, so that bytes reach the system in the order of the writes.
                    file = (part / f"{name}.wav").open("x+b", buffering=0)
                    self._files.append(file)
                    coder = PcmCoder(sample_format, dither=True, seed=_seed(name))
                    bext = b"" if project is None else self._bext(name, TimeStamp())
                    self._writers.append(
                        WavWriter(
                            file, samplerate, channels, coder, riff_limit=riff_limit, bext=bext
                        )
                    )
                self.folder = _give_number(part)
                if project is not None:
                    self._project = TakeProject(self.folder, project, files, samplerate, channels)
                _sync_names(self.folder)
                _sync_names(folder)
            except BaseException:
                self._take_back()
                raise

    def _take_back(self) -> None:
        if self._project is not None:
            with contextlib.suppress(OSError):
                self._project.close(0)
        for file in self._files:
            file.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def begins_at(self, stamp: TimeStamp) -> None:
        """Tell when the take began; it is in the files from the next `append` on.

        Only files that have a project tell it.
        """
        if self._project is not None:
            for name, writer in zip(self._names, self._writers, strict=True):
                writer.stamp(self._bext(name, stamp))

    def append(self, samples: Samples) -> None:
        """Write ``(frames, stems * channels)``, the channels of stem after stem.

        Raises:
            OSError: it cannot be written; `close` saves what can be.
        """
        for start in range(0, len(samples), _IN_STEP_FRAMES):
            piece = samples[start : start + _IN_STEP_FRAMES]
            for index, writer in enumerate(self._writers):
                first = index * self._channels
                writer.write(piece[:, first : first + self._channels])
        for writer in self._writers:
            # Right after the samples: a kill loses what the header does not count yet.
            writer.refresh()
        self.frames = self._writers[0].frames

    def skip(self, frames: int) -> None:
        """Leave silence; it counts from the next `append` on.

        Raises:
            OSError: it cannot be written; `close` saves what can be.
        """
        for writer in self._writers:
            writer.skip(frames)

    def sync(self) -> None:
        """Wait until all appended samples are on the disk itself.

        Raises:
            OSError: the disk failed, or a file has been removed.
        """
        for file in self._files:
            _sync_data(file.fileno())
            if os.fstat(file.fileno()).st_nlink == 0:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if self._project is not None:
            self._project.update(self.frames)

    def free_bytes(self) -> int:
        """Return how many bytes the disk still takes."""
        # By descriptor: someone may give the take another name while it is recorded.
        disk = os.fstatvfs(self._files[0].fileno())
        return disk.f_bavail * disk.f_frsize

    def close(self) -> None:
        """Make every file whole, also after an error, and wait until it is on the disk.

        After an error all files end at the same frame, at the end of the shortest one.

        Raises:
            OSError: the first error; the rest was done all the same.
        """
        errors = []
        shortest = min(writer.frames for writer in self._writers)
        if any(writer.frames != self.frames for writer in self._writers):
            shortest -= shortest % 2  # then no file needs a pad byte, for which there is no room
        self.frames = shortest
        for file, writer in zip(self._files, self._writers, strict=True):
            ending = partial(writer.close, shortest)
            for step in (ending, partial(_sync_data, file.fileno()), file.close):
                try:
                    step()
                except OSError as error:
                    errors.append(error)
        if self._project is not None:
            try:
                self._project.close(self.frames)
            except OSError as error:
                errors.append(error)
        if errors:
            raise errors[0]


def _checked(names: Sequence[str]) -> tuple[FileName, ...]:
    try:
        return distinct_names(names)
    except ValueError as error:
        raise SettingsError(f"names= must be names of files: {error}") from None


def _seed(name: str) -> int:
    """Return the seed of the dither: stems must not share their noise."""
    return zlib.crc32(name.encode(errors="surrogateescape"))


def _give_number(part: Path) -> Path:
    """Rename a new take's folder to the next free number."""
    folder = part.parent
    numbers = [int(match[1]) for path in folder.iterdir() if (match := _TAKE.fullmatch(path.name))]
    number = max(numbers, default=0)
    while True:
        number += 1
        take = folder / f"take-{number:03d}"
        try:
            return part.rename(take)
        except OSError as error:
            # Another run took the number first.
            if error.errno not in _TAKEN:
                raise


def _sync_names(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
