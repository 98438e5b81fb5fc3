"""Stems to disk while they play, without ever making the audio wait.

::

    engine thread --write--> ring --recorder thread, twice a second--> Take: a WAV for each stem
                                    sync thread, every two seconds --> the disk itself

`Recorder.write` copies into a lock-free ring and returns. If the disk stops for longer than
`RING_SECONDS`, the ring is full, and frames are dropped and counted. They are silent in the files,
so a position in a file is always the same moment of the stream. A full disk ends the recording with
one sentence in `Recorder.status`; the files stay valid.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, get_args

import numpy as np

from ringbuffer import Ring
from streamer.audio import Samples
from streamer.errors import SettingsError, SinkError
from streamer.files.bwf import TimeStamp
from streamer.files.encode.wav import RIFF_LIMIT
from streamer.files.part import sink_errors
from streamer.files.quantise import SampleFormat
from streamer.live.recording.take import Take
from streamer.settings import ProjectKind
from streamer.words import counted

RING_SECONDS = 8
SYNC_SECONDS = 2.0
CLOSE_SECONDS: Final = 10.0
"""How long the end of a run waits for a disk."""
_BLOCK_FRAMES = 16384


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """One look at a recording; counters count since its start.

    ``recorded_frames`` are in the files, safe from a kill. ``dropped_frames`` were given but not
    recorded. ``silent_frames`` are silent in the files, since nothing came or it was dropped.
    ``left_seconds`` is how long the disk will last. ``failure`` says why the recording ended by
    itself; otherwise it is empty. ``taken_frames`` is how long the take is so far: the
    last of it is not in the files yet.
    """

    folder: Path
    samplerate: int
    recorded_frames: int
    dropped_frames: int
    silent_frames: int
    left_seconds: float
    failure: str
    taken_frames: int = 0

    @property
    def text(self) -> str:
        """The same in one line, for a status screen."""
        recorded = _clock(self.recorded_frames / self.samplerate)
        if self.failure:
            return f"recording stopped after {recorded}: {self.failure}"
        dropped = (
            f", {counted(self.dropped_frames, 'frame')} dropped" if self.dropped_frames else ""
        )
        return f"{self.folder.name} {recorded}, {_clock(self.left_seconds)} left{dropped}"


class Recorder:
    """Records stems, given in order by one thread, as one WAV a stem in a new take of ``folder``.

    The files begin at the stream's frame ``start_frame``. They are valid at every moment. They lack
    at most the last ``flush_seconds`` (and the time to write them). Above ``riff_limit`` bytes they
    become RF64, which Python's `wave` module does not read. With a ``project`` the stems tell at
    what time of day, by ``clock``, they began, and a project opens them in a DAW.

    Many parameters: each is a property of the files, which begin at once.

    Raises:
        SettingsError: a value cannot be used.
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
        start_frame: int = 0,
        flush_seconds: float = 0.5,
        riff_limit: int = RIFF_LIMIT,
        project: ProjectKind | None = None,
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:
        _check(sample_format, flush_seconds)
        self._samplerate = samplerate
        self._shape = len(names), channels
        self._flush_seconds = flush_seconds
        self._take = Take(
            folder,
            names,
            samplerate,
            channels,
            sample_format=sample_format,
            riff_limit=riff_limit,
            project=project,
        )
        self._clock = clock
        self._began: datetime | None = None  # when the first samples came
        # The writer is the thread that calls `write`, the reader the recorder thread.
        self._ring = Ring(RING_SECONDS * samplerate, len(names) * channels)
        self._block = np.zeros((_BLOCK_FRAMES, len(names) * channels), np.float32)
        # (position in the ring, frames of silence before it): appended before the samples that
        # follow, so a reader of those samples sees the gap. At least one frame follows each.
        self._gaps: deque[tuple[int, int]] = deque()
        self.start_frame = self._next_frame = start_frame
        self._dropped_frames = 0
        self._silent_frames = 0
        self._free_bytes = self._take.free_bytes()
        self._failure = ""
        self._stop = threading.Event()
        self._syncer = threading.Thread(target=self._sync, name="recorder sync", daemon=True)
        self._recorder = threading.Thread(target=self._record, name="recorder", daemon=True)
        self._syncer.start()
        self._recorder.start()

    def write(self, start_frame: int, stems: Samples) -> None:
        """Record float32 ``(stems, frames, channels)``, which begin at absolute ``start_frame``.

        Never waits and never raises. Frames before the end of an earlier call, and frames that do
        not fit in, are dropped. A hole before ``start_frame`` becomes silence.
        """
        frames = stems.shape[1] if stems.ndim == 3 else 0
        if (len(stems), *stems.shape[2:]) != self._shape or stems.ndim != 3:
            self._fail(f"stems of shape {stems.shape} came where {self._shape} was announced")
        kept = 0
        self._began = self._began or self._clock()
        if not self._stop.is_set():
            late = min(frames, max(0, self._next_frame - start_frame))
            kept = self._keep(start_frame + late, stems[:, late:])
        self._dropped_frames += frames - kept

    def _keep(self, start_frame: int, stems: Samples) -> int:
        """Put as many frames into the ring as it has room for; return how many."""
        room = min(stems.shape[1], self._ring.writable_frames)
        if room == 0:
            return 0
        if start_frame > self._next_frame:
            self._gaps.append((self._ring.end_frame, start_frame - self._next_frame))
        side_by_side = stems[:, :room].transpose(1, 0, 2).astype(np.float32, order="C")
        written = self._ring.write(side_by_side.reshape(room, -1))
        self._next_frame = start_frame + written
        return written

    def status(self) -> RecorderStatus:
        """Return the state of the recording. From any thread; does not touch the disk."""
        return RecorderStatus(
            folder=self._take.folder,
            samplerate=self._samplerate,
            recorded_frames=self._take.frames,
            dropped_frames=self._dropped_frames,
            silent_frames=self._silent_frames,
            left_seconds=self._free_bytes / self._take.second_bytes,
            failure=self._failure,
            taken_frames=self._next_frame - self.start_frame,
        )

    def end(self) -> None:
        """Have the recorder's own thread finish the files; what comes now is dropped."""
        self._stop.set()

    @property
    def ended(self) -> bool:
        """Whether the files are finished."""
        return not self._recorder.is_alive()

    def close(self, timeout_seconds: float = CLOSE_SECONDS) -> None:
        """Write the rest and finish the files; a second time does nothing. Never raises.

        It waits ``timeout_seconds`` for the disk at most; after that `status` tells so.
        """
        self._stop.set()
        self._recorder.join(timeout_seconds)
        if self._recorder.is_alive():
            self._fail(
                f"{self._take.folder} may lack its end: the disk did not answer for "
                f"{timeout_seconds:g} s; check the disk"
            )

    def _record(self) -> None:
        """The recorder thread."""
        with self._telling():
            while not self._stop.wait(self._flush_seconds):
                self._drain()
            self._drain()
        # It must no longer use the files when they are closed.
        self._syncer.join()
        with self._telling():
            self._take.close()

    def _sync(self) -> None:
        """The sync thread: a slow disk holds up nothing else."""
        with self._telling():
            while not self._stop.wait(SYNC_SECONDS):
                self._take.sync()
                self._free_bytes = self._take.free_bytes()

    def _drain(self) -> None:
        """Move the content of the ring to the files, with silence in its gaps."""
        end = self._ring.end_frame
        if self._began is not None and self._ring.start_frame == 0 < end:
            self._take.begins_at(TimeStamp.of(self._began, self._samplerate))
        while (position := self._ring.start_frame) < end:
            if self._gaps and self._gaps[0][0] == position:
                silent = self._gaps.popleft()[1]
                self._take.skip(silent)
                self._silent_frames += silent
            until = self._gaps[0][0] if self._gaps else end
            block = self._block[: min(until, end) - position]
            self._take.append(block[: self._ring.read(block)])

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn any error into the sentence that ends the recording, but not the audio."""
        try:
            with sink_errors(self._take.folder):
                yield
        except SinkError as error:
            self._fail(str(error))
        except Exception as error:
            self._fail(f"{self._take.folder} cannot be written: {error!r}; please report this")

    def _fail(self, sentence: str) -> None:
        self._failure = self._failure or sentence
        self._stop.set()


def _check(sample_format: SampleFormat, flush_seconds: float) -> None:
    if sample_format not in get_args(SampleFormat):
        formats = ", ".join(get_args(SampleFormat))
        raise SettingsError(f"sample_format={sample_format} must be one of {formats}")
    if not 0 < flush_seconds <= RING_SECONDS / 2:
        raise SettingsError(
            f"flush_seconds={flush_seconds} must be above 0 and at most {RING_SECONDS / 2:g}; "
            "try 0.5"
        )


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"
