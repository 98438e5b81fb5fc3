"""A network of Demucs, run by OpenVINO on the CPU: its layers as a graph, the transforms by numpy.

torch is imported only where the graph is not on disk yet (`graphs`).
"""

from __future__ import annotations

import math

import numpy as np

from streamer.audio import Samples
from streamer.cache import processors
from streamer.models.backends.openvino_graphs import Graphs
from streamer.models.backends.openvino_library import not_finite
from streamer.models.backends.openvino_requests import Requests
from streamer.models.networks.crop import Crop
from streamer.models.networks.facts import NetworkFacts
from streamer.models.networks.spectrum import Spectra, Spectrum, compressed, level
from streamer.models.separator import WHOLE, WindowKind, window_of_song
from streamer.settings import Precision


class OpenVinoSeparator:
    """A `Separator` over an HTDemucs. Several threads may call it.

    The graph is loaded at the first window; where it is not on disk it is made, which takes some
    seconds.

    Args:
        graphs: the network.
        facts: what must be known to feed it.
        precision: ``float32`` or ``bfloat16``; of a processor without bfloat16 that is float32 too.
        windows: how long they are; more than it was trained on is refused. Those that are exact
            are live windows: what is not wanted of them is left out, where the network can.
        threads: how many the graph may use (None: all processors).
    """

    def __init__(
        self,
        graphs: Graphs,
        facts: NetworkFacts,
        precision: Precision,
        *,
        windows: WindowKind,
        threads: int | None = None,
    ) -> None:
        threads = threads or processors()
        self._requests = Requests(graphs, precision, threads)
        self.names = facts.names
        self.samplerate = facts.samplerate
        self.channels = facts.channels
        own = facts.window_seconds
        self.window_frames = window_of_song(
            facts.samplerate, own if windows.seconds is None else windows.seconds, own
        )
        self._masks = facts.masks
        self._spectrum = Spectrum(facts.fft_frames, threads)
        self._halo = facts.halo_columns if windows.exact else None
        longest = window_of_song(facts.samplerate, own, own)
        seen = self.window_frames if windows.exact else longest
        self._whole = Crop.whole(seen, self._spectrum.hop_frames)

    def input_frames(self, window_frames: int) -> int:  # noqa: ARG002 (a transformer's are alike)
        """Return the length of its windows, whatever is wanted of them."""
        return self.window_frames

    def load_ahead(self) -> None:
        """Begin to load the graph of whole windows on a thread of its own, if it is on disk."""
        self._requests.load_ahead(self._whole)

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        """Separate ``(windows, frames, channels)`` into ``(windows, stems, kept, channels)``.

        Raises:
            ModelError: the graph cannot be made or loaded, or what it gives is not finite.
        """
        if len(windows) == 1:
            return self._separate(windows[0], kept)[np.newaxis]
        return np.stack([self._separate(window, kept) for window in windows])

    def _separate(self, window: Samples, kept: slice) -> Samples:
        kept = slice(*kept.indices(len(window)))
        if not window.any():
            silence = (len(self.names), kept.stop - kept.start, self.channels)
            return np.zeros(silence, np.float32)
        crop = self._crop(kept)
        frames = crop.end_frame - crop.begin_frame
        with self._requests.take(crop) as request:
            # what goes in and what comes out lies in the request's memory: nothing is held twice
            seen, mix, levels = (tensor.data for tensor in request.input_tensors)
            mix[:, : len(window)] = window.T
            mix[:, len(window) :] = 0
            columns = self._look(mix, seen, levels)
            spectra, waves = request.infer(share_outputs=True).values()
            stems = self._waves(columns[:, crop.begin : crop.end], spectra, frames)
            stems += waves
        if not math.isfinite(float(stems.sum())):
            raise not_finite()
        part = stems.reshape(len(self.names), self.channels, frames)[..., crop.within(kept)]
        return part.transpose(0, 2, 1)

    def _look(self, mix: Samples, seen: Samples, levels: Samples) -> Spectra:
        """Fill in what the graph is to know of a window: see `openvino_export.write_graph`."""
        if not self._masks:
            columns = self._spectrum.forward(mix, seen.view(np.complex64)[..., 0])
            levels[:] = 0, *level(seen), *level(mix)
            return columns
        columns = self._spectrum.forward(mix)
        np.abs(columns, out=seen)
        mean, _ = level(seen)
        for channel in seen:  # one at a time in memory
            channel[:] = compressed(channel, np.float32(mean))
        levels[:] = mean, *level(seen), *level(mix)
        return columns

    def _waves(self, columns: Spectra, given: Samples, frames: int) -> Samples:
        """Return the sound of the stems' spectra, or masks, that the graph gave."""
        if self._masks:
            return self._spectrum.inverse(columns, frames, given)
        return self._spectrum.inverse(given.view(np.complex64)[..., 0], frames)

    def _crop(self, kept: slice) -> Crop:
        """Return the whole window or its last half: a graph for each stretch would be too many."""
        half = self.window_frames // 2
        if self._halo is None or kept.start < half:
            return self._whole
        return self._whole.around(slice(half, None), self._halo)
