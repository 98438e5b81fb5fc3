"""Scale a stem by its own peak, which is known only at its end."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import numpy as np

from streamer.audio import Samples
from streamer.files.decode.source import BLOCK_FRAMES
from streamer.files.encode.sink import Sink
from streamer.files.part import sink_errors


def rescaling_gain(peak: float) -> float:
    """Return the gain that keeps a peak under full scale, as demucs's ``--clip-mode rescale``."""
    return 1 / max(1.01 * peak, 1)


class RescaleSink(Sink):
    """Holds a stem back in an unnamed file of ``folder`` until `commit` sends it to ``sink``.

    The gain is `rescaling_gain` of its peak. If ``gain`` was set before the commit, that one counts
    (the same gain for all stems keeps their balance).
    ``peak`` is the largest sample so far. The unnamed file goes when the process ends.

    Raises:
        SinkError: the folder cannot be written; ``sink`` is aborted.
    """

    def __init__(self, sink: Sink, folder: Path, channels: int) -> None:
        self.peak = 0.0
        self.gain: float | None = None
        self.note = sink.note
        self._sink = sink
        self._channels = channels
        self._spool_name = folder / "a temporary file"
        try:
            with sink_errors(self._spool_name):
                self._spool = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        except BaseException:
            sink.abort()
            raise

    def write(self, samples: Samples) -> None:
        """See `Sink.write`."""
        try:
            with sink_errors(self._spool_name):
                self._spool.write(samples.astype(np.float32, copy=False).tobytes())
        except BaseException:
            self.abort()
            raise
        if len(samples):
            self.peak = max(self.peak, float(np.abs(samples).max()))

    def seal(self) -> None:
        """See `Output.seal`."""
        if self._spool.closed:
            return
        gain = rescaling_gain(self.peak) if self.gain is None else self.gain
        try:
            with sink_errors(self._spool_name):
                self._spool.seek(0)
                block_bytes = 4 * self._channels * BLOCK_FRAMES
                while not self.given_up and (data := self._spool.read(block_bytes)):
                    block = np.frombuffer(data, np.float32).reshape(-1, self._channels)
                    self._sink.write(block * np.float32(gain))
            if not self.given_up:
                self._sink.seal()
        except BaseException:
            self.abort()
            raise
        self._spool.close()

    def commit(self) -> None:
        """See `Output.commit`."""
        self.seal()
        self._sink.commit()

    def retract(self) -> None:
        """See `Output.retract`."""
        self._sink.retract()

    def abort(self) -> None:
        """See `Output.abort`."""
        # on a full disk the buffered rest still does not fit; close the spool all the same
        with contextlib.suppress(OSError):
            self._spool.close()
        self._sink.abort()
