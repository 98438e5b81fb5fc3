"""The recording of a live run: from the opening of its devices to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamer.audio import Samples
from streamer.live.recording.recorder import Recorder
from streamer.live.settings import LiveSettings


class Recording:
    """Records a run where its settings ask for that; else it does nothing.

    ``end_frame`` returns the frame at which the run ends: nothing after it is recorded.
    """

    def __init__(
        self,
        settings: LiveSettings,
        names: Sequence[str],
        samplerate: int,
        end_frame: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._names, self._samplerate = names, samplerate
        self._end_frame = end_frame
        self._recorder: Recorder | None = None

    def open(self) -> None:
        """Make the files.

        Raises:
            SinkError: there is no place for them.
        """
        if self._settings.record is not None:
            self._recorder = Recorder(
                self._settings.record,
                self._names,
                self._samplerate,
                2,
                sample_format=self._settings.sample_format,
            )

    def write(self, start_frame: int, data: Samples) -> None:
        """Record the next stems, ``(stems, frames, channels)``; never waits."""
        if self._recorder is not None:
            frames = min(data.shape[1], self._end_frame() - start_frame)
            self._recorder.write(start_frame, data[:, : max(0, frames)])

    @property
    def text(self) -> str:
        """The recording in one line, for a status screen; empty where there is none."""
        return self._recorder.status().text if self._recorder is not None else ""

    @property
    def failure(self) -> str:
        """The sentence that tells why it ended by itself, else empty."""
        return self._recorder.status().failure if self._recorder is not None else ""

    def close(self) -> None:
        """Finish the files."""
        if self._recorder is not None:
            self._recorder.close()
