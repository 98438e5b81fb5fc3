"""Spleeter's networks (`networks.mask_unet`), run by OpenVINO: masks as a graph, numpy the rest."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from streamer.audio import Samples
from streamer.cache import processors
from streamer.models.backends.openvino_graphs import Graphs
from streamer.models.backends.openvino_library import not_finite
from streamer.models.backends.openvino_requests import Requests
from streamer.models.networks.crop import Crop
from streamer.models.networks.facts import NetworkFacts
from streamer.models.networks.mask_shape import BINS, FLOOR, SCALE, mirrored
from streamer.models.networks.spectrum import Spectrum
from streamer.models.separator import WHOLE, window_of_song
from streamer.settings import Precision

_OVERLAP_COLUMNS: Final = 2
"""This many columns on each side of a frame contribute to it in the inverse transform."""


class OpenVinoMasks:
    """A `Separator` over a `MaskUNets`. Several threads may call it.

    There is a graph for each multiple of `mask_shape.HALVED` columns. See `OpenVinoSeparator`.

    Args:
        graphs: the network.
        facts: what must be known to feed it.
        precision: ``float32`` or ``bfloat16``.
        window_seconds: how long its windows are at most; None: as its maker wrote it.
        threads: how many a graph may use (None: all processors).
    """

    def __init__(
        self,
        graphs: Graphs,
        facts: NetworkFacts,
        precision: Precision,
        *,
        window_seconds: float | None,
        threads: int | None = None,
    ) -> None:
        threads = threads or processors()
        self._requests = Requests(graphs, precision, threads)
        self.names = facts.names
        self.samplerate = facts.samplerate
        self.channels = facts.channels
        own = facts.window_seconds
        self.window_frames = window_of_song(
            facts.samplerate, own if window_seconds is None else window_seconds, None
        )
        self._spectrum = Spectrum(facts.fft_frames, threads)

    def input_frames(self, window_frames: int) -> int:
        """See `Separator.input_frames`."""
        return window_frames

    def load_ahead(self) -> None:
        """See `LoadedLater.load_ahead`."""
        columns = Crop.whole(self.window_frames, self._spectrum.hop_frames).columns
        self._requests.load_ahead(len(mirrored(columns)))

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        """Separate ``(windows, frames, channels)`` into ``(windows, stems, kept, channels)``.

        Raises:
            ModelError: the graph cannot be made or loaded, or what it gives is not finite.
        """
        return np.stack([self._separate(window, kept) for window in windows])

    def _separate(self, window: Samples, kept: slice) -> Samples:
        whole = Crop.whole(len(window), self._spectrum.hop_frames)
        crop = whole.around(kept, _OVERLAP_COLUMNS)
        columns = self._spectrum.forward(window.T)
        order = mirrored(whole.columns)
        rms = math.sqrt(float(np.mean(np.square(window, dtype=np.float64)))) + FLOOR
        with self._requests.take(len(order)) as request:
            (seen,) = (tensor.data for tensor in request.input_tensors)
            np.abs(columns[:, order, :BINS], out=seen)
            seen *= np.float32(SCALE / rms)
            (masks,) = request.infer(share_outputs=True).values()
            part = slice(crop.begin, crop.end)
            frames = crop.end_frame - crop.begin_frame
            stems = self._spectrum.inverse(columns[:, part], frames, masks[:, part])
        if not math.isfinite(float(stems.sum())):
            raise not_finite()
        shaped = stems.reshape(len(self.names), self.channels, frames)[..., crop.within(kept)]
        return shaped.transpose(0, 2, 1)
