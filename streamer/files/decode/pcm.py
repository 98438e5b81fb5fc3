"""Uncompressed files (WAV, RF64, W64, AIFF, AU, CAF) through libsndfile: exact and seekable."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import soundfile

from streamer.audio import Samples
from streamer.errors import SourceError
from streamer.files.bwf import TimeStamp, read_stamp
from streamer.files.decode.pcm_sizes import Patched, RightSizes, has_only_sound, riff_bodies
from streamer.files.decode.source import BLOCK_FRAMES, Source, cut_short
from streamer.files.marks import MARK_CHUNKS, Mark, cue_points
from streamer.files.quantise import SampleFormat
from streamer.files.tags import read_tags

# By libsndfile's names; all others, companded or of 8 bits, fit into 16.
_DEPTHS: dict[str, SampleFormat] = {
    "PCM_24": "int24",
    "PCM_32": "float32",
    "FLOAT": "float32",
    "DOUBLE": "float32",
    "ALAC_20": "int24",
    "ALAC_24": "int24",
    "ALAC_32": "float32",
}

# A program that writes into a pipe cannot know the length, and states one near these limits.
_UNKNOWN_BYTES = 0x7FFFF000

# How libsndfile reports a file too short for what it states, in bytes or (RF64) in frames.
_SHORT_BYTES = re.compile(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.M)
_SHORT_FRAMES = re.compile(r"does not match value from 'ds64' chunk of (\d+)")


class PcmSource(Source):
    """An uncompressed file. With ``sizes`` its header is read as if it held those.

    Raises:
        soundfile.LibsndfileError: libsndfile does not read this kind of file.
    """

    rewindable = True
    _patched: Patched | None = None

    def __init__(self, path: Path, sizes: RightSizes | None = None) -> None:
        self._path = path
        self._sizes = sizes
        self._file = self._open()
        self.name = path.name.rsplit(".", 1)[0]
        self.samplerate = self._file.samplerate
        self.channels = self._file.channels
        self.frames: int = self._file.frames
        self.seconds = self.frames / self.samplerate
        # what reads tags takes longer to import than this file to read
        self.tags = {} if has_only_sound(path) else read_tags(path)
        self.sample_format = _DEPTHS.get(self._file.subtype, "int16")
        self.losses = []
        self._begin = 0

    def blocks(self, block_frames: int = BLOCK_FRAMES) -> Iterator[Samples]:
        """See `Source.blocks`."""
        delivered = self._begin
        while delivered < self.frames:
            try:
                block: Samples = self._file.read(block_frames, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:
                break
            if len(block) == 0:
                break
            delivered += len(block)
            yield block
        claimed = max(self.frames, self._stated_frames())
        if delivered < claimed:
            self.losses.append(cut_short(self._path.name, delivered, claimed, self.samplerate))

    def _stated_frames(self) -> int:
        """Return the frames in the header if the file is too short for them, else 0."""
        if frames := _SHORT_FRAMES.search(self._file.extra_info):
            return int(frames[1])
        short = _SHORT_BYTES.search(self._file.extra_info)
        if short is None:
            return 0
        stated, present = int(short[1]), int(short[2])
        if stated >= _UNKNOWN_BYTES or present == 0 or stated <= present:
            return 0
        return round(self.frames * stated / present)

    def marks(self) -> Sequence[Mark]:
        """See `Source.marks`."""
        return cue_points(self._chunks(MARK_CHUNKS), self.samplerate)

    def time_stamp(self) -> TimeStamp:
        """See `Source.time_stamp`."""
        return next((read_stamp(body) for _, body in self._chunks((b"bext",))), TimeStamp())

    def _chunks(self, kinds: Collection[bytes]) -> list[tuple[bytes, bytes]]:
        try:
            return riff_bodies(self._path, kinds)
        except OSError:  # the sound tells what that means
            return []

    def reopen(self) -> None:
        """See `Source.reopen`."""
        self.close()
        try:
            self._file = self._open()
        except (soundfile.LibsndfileError, OSError):
            raise SourceError(f"{self._path} is gone or was changed; start again") from None
        self.losses = []
        self._begin = 0

    def seek(self, frame: int) -> None:
        """See `Source.seek`."""
        self.reopen()
        try:
            self._begin = self._file.seek(min(frame, self.frames))
        except soundfile.LibsndfileError:
            raise SourceError(f"{self._path} is damaged; get it again") from None

    def close(self) -> None:
        """See `Source.close`."""
        self._file.close()
        if self._patched is not None:
            self._patched.close()

    def _open(self) -> soundfile.SoundFile:
        self._patched = None
        if self._sizes is not None:
            self._patched = Patched(self._path, self._sizes.patches)
            return soundfile.SoundFile(self._patched)
        # As bytes: soundfile refuses a name that is not Unicode.
        return soundfile.SoundFile(os.fsencode(self._path))
