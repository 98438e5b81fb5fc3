"""Integrated loudness of a stream, ITU-R BS.1770 with EBU R128 gating, by FFmpeg's `ebur128`."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from streamer.audio import Samples

SILENCE_LUFS = -70.0
"""The absolute gate: quieter sound has no loudness."""


class LoudnessMeter:
    """Takes blocks of one or two channels; then tells the loudness of all."""

    def __init__(self, samplerate: int, channels: int) -> None:
        # imported here, as few runs measure loudness
        from av.filter import Graph

        self._samplerate = samplerate
        self._layout = {1: "mono", 2: "stereo"}[channels]
        self._graph = Graph()
        source = self._graph.add_abuffer(
            sample_rate=samplerate,
            format="flt",
            layout=self._layout,
            time_base=Fraction(1, samplerate),
        )
        meter = self._graph.add("ebur128", "metadata=1")
        self._sink = self._graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(self._sink)
        self._graph.configure()
        self._source = source
        self._loudness = SILENCE_LUFS

    def feed(self, block: Samples) -> None:
        """Take ``(frames, channels)``."""
        if not len(block):
            return
        from av import AudioFrame

        interleaved = np.ascontiguousarray(block).reshape(1, -1)
        frame = AudioFrame.from_ndarray(interleaved, format="flt", layout=self._layout)
        frame.sample_rate = self._samplerate
        self._source.push(frame)
        self._drain()

    def integrated(self) -> float:
        """Return the loudness of all blocks in LUFS; `SILENCE_LUFS` if it is under the gate.

        The meter takes no more blocks after this.
        """
        self._source.push(None)
        self._drain()
        return self._loudness

    def _drain(self) -> None:
        from av import error as av_error

        while True:
            try:
                frame = self._sink.pull()
            except (av_error.BlockingIOError, av_error.EOFError):
                return
            # what is left of a song after its last whole 100 ms carries no measurement
            if measured := frame.metadata.get("lavfi.r128.I"):
                self._loudness = max(float(measured), SILENCE_LUFS)
