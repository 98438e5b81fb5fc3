"""The recording of a live run: from the opening of its devices, or while somebody wants it."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from streamer.audio import Samples
from streamer.live.mixing.levels import checked_switch
from streamer.live.recording.recorder import CLOSE_SECONDS, Recorder, RecorderStatus
from streamer.live.settings import LiveSettings

TAKES: Final = Path("takes")
"""Where takes go that a key or a remote begins, if the settings name no folder."""
MOST_AHEAD_SECONDS: Final = 6.0
"""How much is kept for a take to begin with: what is not heard yet, and what is heard while the
files are made."""
_KEPT_FAILURES: Final = 8


class Recording:
    """Records a run from its beginning where its settings ask for that, and whenever it is told to.

    Each start makes a new take, which begins with what is heard at that moment: those stems came
    before they are heard, and are kept until then. `write` is for the engine's thread; any thread
    may call the others.

    Args:
        settings: of the run.
        names: the stems.
        samplerate: of the devices.
        end_frame: returns the frame at which the run ends: nothing after it is recorded.
        heard: returns the frame that is heard now.
    """

    def __init__(
        self,
        settings: LiveSettings,
        names: Sequence[str],
        samplerate: int,
        end_frame: Callable[[], int],
        heard: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._names, self._samplerate = names, samplerate
        self._end_frame, self._heard = end_frame, heard
        self._ahead: deque[tuple[int, Samples]] = deque()
        self._recorder: Recorder | None = None
        self._begun: Recorder | None = None  # the last that the engine's thread has written to
        self._ended: list[Recorder] = []  # still at their last frames, or so a moment ago
        self._failures: list[str] = []
        self._switching = threading.Lock()
        self._wanted_from = math.inf  # while the files of a take are made: its first frame

    def open(self) -> None:
        """Make the files where the whole run is recorded.

        Raises:
            SinkError: there is no place for them.
        """
        if self._settings.record is not None:
            self._recorder = self._begin(0)

    @property
    def on(self) -> bool:
        """Whether it records."""
        recorder = self._recorder
        return recorder is not None and not recorder.status().failure

    def switch(self, on: object) -> None:
        """Begin a take, or end it. What is on already goes on.

        Raises:
            SettingsError: it is no switch.
            SinkError: there is no place for the take.
        """
        wanted = checked_switch("record", on)
        with self._switching:
            if wanted and not self.on:
                self._end()
                self._wanted_from = max(0, math.floor(self._heard()))
                try:
                    self._recorder = self._begin(self._wanted_from)
                finally:
                    self._wanted_from = math.inf
            elif not wanted:
                self._end()

    def write(self, start_frame: int, data: Samples) -> None:
        """Record the next stems, ``(stems, frames, channels)``; never waits."""
        wanted_from = self._wanted_from  # first: it is let go when the recorder is there
        recorder = self._recorder
        if recorder is not None:
            if recorder is not self._begun:
                self._begun = recorder
                for start, earlier in self._ahead:
                    self._give(recorder, start, earlier)
            self._give(recorder, start_frame, data)
        self._ahead.append((start_frame, data.copy()))
        newest = start_frame + data.shape[1]
        wanted_from = min(wanted_from, self._wanted_from, self._heard())
        kept_from = max(wanted_from, newest - MOST_AHEAD_SECONDS * self._samplerate)
        while self._ahead and self._ahead[0][0] + self._ahead[0][1].shape[1] <= kept_from:
            self._ahead.popleft()

    @property
    def status(self) -> RecorderStatus | None:
        """The take that is being recorded, or has failed; None where there is none."""
        recorder = self._recorder
        return recorder.status() if recorder is not None else None

    @property
    def failures(self) -> list[str]:
        """The sentences that tell why takes ended by themselves, the last ones."""
        recorder = self._recorder
        takes = [*self._ended, *([recorder] if recorder is not None else [])]
        return [*self._failures, *_failures(takes)]

    def close(self) -> None:
        """Finish the files. Those that a disk that hangs is still making stay as they are."""
        if self._switching.acquire(timeout=CLOSE_SECONDS):
            self._end()
            self._switching.release()
        else:
            self._failures.append("a take was never begun: the disk did not answer")
        for recorder in self._ended:
            recorder.close()

    def _give(self, recorder: Recorder, start_frame: int, data: Samples) -> None:
        frames = min(data.shape[1], self._end_frame() - start_frame)
        skipped = min(max(recorder.start_frame - start_frame, 0), max(frames, 0))
        recorder.write(start_frame + skipped, data[:, skipped : max(0, frames)])

    def _begin(self, start_frame: int) -> Recorder:
        def began() -> datetime:
            """Return when the first frame of the take is, or was, heard: now or a moment away."""
            away = (start_frame - self._heard()) / self._samplerate
            return datetime.now() + timedelta(seconds=away)

        return Recorder(
            self._settings.record or self._settings.takes or TAKES,
            self._names,
            self._samplerate,
            2,
            sample_format=self._settings.sample_format,
            start_frame=start_frame,
            project=self._settings.project,
            clock=began,
        )

    def _end(self) -> None:
        """Let the take end by itself: the disk may be slow, and who asked for it shall not wait."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.end()
            done = [one for one in self._ended if one.ended]
            self._failures = [*self._failures, *_failures(done)][-_KEPT_FAILURES:]
            self._ended = [*(one for one in self._ended if one not in done), recorder]


def _failures(takes: Sequence[Recorder]) -> list[str]:
    return [failure for one in takes if (failure := one.status().failure)]
