"""Compressed audio, video files and pipes through PyAV (FFmpeg)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.stream import Disposition

from streamer.audio import Samples
from streamer.errors import SourceError
from streamer.files.av_frames import channels_of, keep_layout, to_float, usual_layout
from streamer.files.av_open import Tap, open_container
from streamer.files.bwf import TimeStamp
from streamer.files.decode.source import BLOCK_FRAMES, Source, cut_short, unreadable
from streamer.files.marks import Mark, chapters
from streamer.files.ogg_pages import ends_whole
from streamer.files.quantise import SampleFormat
from streamer.files.tags import from_container

# Containers whose stated length is true; others guess it from bit rate or file size.
_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
_STATES_LENGTH = ("flac", "mp3", "wv", _MP4)

# Containers in which a jump ends where it is said to; after one in Ogg, positions are guesses.
_JUMPS = ("flac", _MP4)

# Containers that round lengths to packets or milliseconds state at most this much too much.
_ROUNDING_SECONDS = 0.05

# Decoders need what came before the first frame that is wanted; Opus wants most, 80 ms.
_RUN_UP_SECONDS = 0.2


class AvSource(Source):
    """One audio stream of whatever FFmpeg reads.

    ``label`` names the input in messages. ``opener`` opens it from its start. ``stream`` counts
    audio streams from 0 (None: the file's default stream, else the first). ``length_is_stated``
    tells that an MP3 has its length in a header.

    Raises:
        SourceError: the file has no audio that FFmpeg can decode, or no such stream.
    """

    def __init__(
        self,
        label: str,
        opener: Callable[[], BinaryIO],
        *,
        stream: int | None = None,
        rewindable: bool = True,
        length_is_stated: bool = True,
    ) -> None:
        self._label = label
        self._opener = opener
        self._stream_index = stream
        self.name = label.rsplit(".", 1)[0]
        self.rewindable = rewindable
        self._open()
        self.notes = self._stream_notes(stream)
        claimed = self._claimed_frames()
        kind = self._container.format.name
        if kind not in _STATES_LENGTH or (kind == "mp3" and not length_is_stated):
            claimed = None
        self._claimed = claimed
        self._exact = kind == "flac"
        # less may be there than is stated: only the end of the file will tell
        self.frames = None
        self.seconds = self._seconds() if rewindable else None
        self.tags = from_container({**self._container.metadata, **self._stream.metadata})
        self.sample_format = self._depth()

    def _depth(self) -> SampleFormat:
        """Return the format that holds all bits of a lossless codec; 16 bits for a lossy one."""
        context = self._stream.codec_context
        if not context.codec.lossless or context.format is None:
            return "int16"
        kind = context.format.packed.name
        if kind == "s32" and not context.name.startswith("pcm_s32"):
            return "int24"  # FFmpeg delivers 24 bits like this
        if context.name == "dca" and kind == "flt":
            return "int16"  # DTS, which is lossless only where it gives integers
        return "int16" if kind in ("u8", "s16") else "float32"

    def _open(self) -> None:
        self.losses = []
        self._bad_packets = 0
        self._bad_since = 0.0
        self._stopped_seconds: float | None = None
        self._skipped_frames = 0
        self._odd: tuple[object, AudioResampler] | None = None
        self._tap = Tap(self._opener())
        try:
            self._container = open_container(self._tap)
        except Exception:
            self._tap.close()
            self._raise_tapped()
            hint = "" if self.rewindable else ", or only by its file name, as some MP4 files are"
            raise SourceError(
                f"{self._label} is not audio that can be read{hint};"
                " give an audio or video file, such as WAV, FLAC, MP3 or M4A"
            ) from None
        self._stream = self._chosen_stream()
        if self._stream.codec_context is None:
            self.close()
            raise SourceError(
                f"{self._label} holds audio of a kind that nothing here decodes; convert it to FLAC"
            )
        channels = channels_of(self._stream.codec_context)
        self._frames = self._decoded()
        # Some codecs say their true rate and channels only with the first frame.
        self._first = next(self._frames, None)
        stopped = self._stopped_seconds is not None
        if self._first is None and (self._bad_packets or stopped):
            index_is_last = not self.rewindable and self._container.format.name == _MP4
            self.close()
            if index_is_last:
                raise SourceError(
                    f"{self._label} is an MP4 with its index at the end, which cannot be read from "
                    "a pipe; give its file name instead"
                )
            raise SourceError(
                f"{self._label} holds no audio that can be decoded; it is damaged, get it again"
            )
        context = self._stream.codec_context
        self.samplerate = self._first.sample_rate if self._first else context.sample_rate
        self.channels = self._first.layout.nb_channels if self._first else channels
        if not self.samplerate or not self.channels:
            self.close()
            raise SourceError(f"{self._label} holds no audio; give a file with sound")

    def _chosen_stream(self) -> AudioStream:
        streams = self._container.streams.audio
        if not streams:
            self.close()
            raise SourceError(f"{self._label} holds no audio; give a file with sound")
        if self._stream_index is None:
            self._stream_index = _default_index(streams) or 0
        if self._stream_index >= len(streams):
            self.close()
            raise SourceError(
                f"stream={self._stream_index + 1} is not in {self._label}, which has {len(streams)}"
                f" of audio; try stream={len(streams)}"
            )
        return streams[self._stream_index]

    def _stream_notes(self, given: int | None) -> list[str]:
        streams = self._container.streams.audio
        if len(streams) == 1:
            return []
        kind = "first" if _default_index(streams) is None else "default"
        kind = kind if given is None else "given"
        number = streams.index(self._stream) + 1
        return [
            f"{self._label} has {len(streams)} streams of audio; number {number}, the {kind} one, "
            "is read, and --stream takes another"
        ]

    def _raise_tapped(self) -> None:
        error = self._tap.error
        if isinstance(error, OSError):
            raise unreadable(self._label, error) from None
        if error is not None:
            raise error

    def _claimed_frames(self) -> int | None:
        if self._stream.duration is None or self._stream.time_base is None:
            return None
        return round(self._stream.duration * self._stream.time_base * self.samplerate)

    def _seconds(self) -> float | None:
        claimed = self._claimed_frames()
        if claimed is not None:
            return claimed / self.samplerate
        return None if self._container.duration is None else self._container.duration / av.time_base

    def _decoded(self) -> Iterator[AudioFrame]:
        """Every frame that can be decoded; a packet that cannot is counted and skipped."""
        packets = self._container.demux(self._stream)
        position = 0.0
        while True:
            # with a damaged file FFmpeg and PyAV raise anything, not only their own errors
            try:
                packet = next(packets, None)
            except Exception:
                packet = None
                self._stopped_seconds = position
            if packet is None:
                break
            try:
                frames = packet.decode()
            except Exception:
                self._note_bad_packet(position)
                continue
            for frame in frames:
                if not isinstance(frame, AudioFrame):
                    continue
                keep_layout(frame)
                if frame.samples and frame.sample_rate:
                    position += frame.samples / frame.sample_rate
                    yield frame
        self._raise_tapped()

    def _note_bad_packet(self, position: float) -> None:
        if not self._bad_packets:
            self._bad_since = position
        self._bad_packets += 1

    def _samples(self) -> Iterator[Samples]:
        """Every frame as float32 ``(frames, channels)``, at the rate and layout of the first."""
        if self._first is None:
            return
        frame: AudioFrame | None = self._first
        self._first = None
        position = 0
        while frame is not None:
            try:
                converted = self._converted(frame)
            except Exception:  # a frame that is not what it says, in a damaged or malicious file
                self._note_bad_packet(position / self.samplerate)
            else:
                for samples in converted:
                    position += len(samples)
                    yield samples
            frame = next(self._frames, None)

    def _converted(self, frame: AudioFrame) -> list[Samples]:
        if frame.sample_rate == self.samplerate and frame.layout.nb_channels == self.channels:
            return [to_float(frame)]
        # a radio recording that changes between mono and stereo, or its rate
        kind = (frame.sample_rate, frame.layout.name, frame.format.name)
        if self._odd is None or self._odd[0] != kind:
            layout = usual_layout(self.channels)
            self._odd = kind, AudioResampler("fltp", layout, self.samplerate)
        frame.pts = None
        return [to_float(one) for one in self._odd[1].resample(frame)]

    def blocks(self, block_frames: int = BLOCK_FRAMES) -> Iterator[Samples]:
        """See `Source.blocks`."""
        waiting: list[Samples] = []
        waiting_frames = delivered = 0
        for samples in _without(self._samples(), self._skipped_frames):
            waiting.append(samples)
            waiting_frames += len(samples)
            if waiting_frames < block_frames:
                continue
            whole = np.concatenate(waiting)
            end = waiting_frames - waiting_frames % block_frames
            for start in range(0, end, block_frames):
                delivered += block_frames
                yield whole[start : start + block_frames]
            waiting, waiting_frames = [whole[end:]], waiting_frames - end
        if waiting_frames:
            delivered += waiting_frames
            yield np.concatenate(waiting)
        self._tell_losses(delivered)

    def _tell_losses(self, delivered: int) -> None:
        slack = 0 if self._exact else round(_ROUNDING_SECONDS * self.samplerate)
        if self._claimed is not None and delivered + slack < self._claimed:
            self.losses.append(cut_short(self._label, delivered, self._claimed, self.samplerate))
        elif self._container.format.name == "ogg" and not ends_whole(self._tap.tail):
            seconds = delivered / self.samplerate
            self.losses.append(
                f"{self._label} is cut short: its last page is missing; {seconds:.1f} s decoded"
            )
        elif self._stopped_seconds is not None:
            self.losses.append(
                f"{self._label} is damaged: nothing after {self._stopped_seconds:.1f} s can be read"
            )
        elif self._bad_packets:
            self.losses.append(
                f"{self._label} is damaged: {self._bad_packets} of its packets cannot be decoded"
                f" and are left out, the first at {self._bad_since:.1f} s"
            )

    def marks(self) -> Sequence[Mark]:
        """See `Source.marks`."""
        try:
            return chapters(self._container.chapters())
        except Exception:  # as damaged as it may be
            return ()

    def time_stamp(self) -> TimeStamp:
        """See `Source.time_stamp`."""
        told = self._container.metadata.get("time_reference", "")
        return TimeStamp(int(told)) if re.fullmatch("[0-9]{1,18}", told) else TimeStamp()

    def reopen(self) -> None:
        """See `Source.reopen`."""
        if not self.rewindable:
            raise SourceError(
                f"{self._label} can be read only once; save it to a file to read it twice"
            )
        self.close()
        self._open()

    def seek(self, frame: int) -> None:
        """See `Source.seek`."""
        self.reopen()
        self._claimed = None
        self._skipped_frames = frame - self._jump(frame)

    def _jump(self, frame: int) -> int:
        """Jump to a place before a frame, as near as the container allows; return where."""
        run_up = round(_RUN_UP_SECONDS * self.samplerate)
        base = self._stream.time_base
        origin = None if self._first is None else self._first.pts
        jumps = self._container.format.name in _JUMPS
        if not jumps or frame <= run_up or base is None or origin is None:
            return 0
        second = Fraction(frame - run_up, self.samplerate)
        try:
            self._container.seek(origin + math.floor(second / base), stream=self._stream)
        except Exception:  # it finds no place to jump to, as in some FLAC
            self._first = None
        else:
            self._frames = self._decoded()
            self._first = next(self._frames, None)
        if self._first is not None and self._first.pts is not None:
            position = round((self._first.pts - origin) * base * self.samplerate)
            if 0 <= position <= frame:
                return position
        self.reopen()
        return 0

    def close(self) -> None:
        """See `Source.close`."""
        self._container.close()
        self._tap.close()


def _default_index(streams: Sequence[AudioStream]) -> int | None:
    """Return the stream that the file marks as its default, or None."""
    defaults = (i for i, one in enumerate(streams) if Disposition.default in one.disposition)
    return next(defaults, None)


def _without(parts: Iterator[Samples], frames: int) -> Iterator[Samples]:
    """Yield audio without its first frames."""
    for part in parts:
        yield part[frames:]
        frames = max(0, frames - len(part))
