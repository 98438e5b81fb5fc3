"""A causal network, run by OpenVINO along a stream: its layers as a graph for one hop.

torch is imported only where the graph is not on disk yet (`graphs`). A hop is one call, without
Python in between, so nothing of what else the program does holds it up.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from streamer.audio import Samples
from streamer.models.backends.openvino_graphs import HOP_GRAPH, Graphs, load_graph
from streamer.models.backends.openvino_library import failure, not_finite
from streamer.models.backends.stream_separator import StreamSeparator
from streamer.models.networks.facts import NetworkFacts
from streamer.models.networks.spectrum import low_delay_windows
from streamer.models.separator import Stride

THREADS = 1
"""The layers of a hop are too small to share."""


class OpenVinoStreamSeparator(StreamSeparator):
    """A `StreamSeparator` on OpenVINO.

    The graph is loaded when the first stream begins; where it is not on disk it is made.

    Args:
        graphs: the network.
        facts: what must be known to feed it.
        window_seconds: the length of a window: what is new, and the past before it.
    """

    def __init__(
        self, graphs: Graphs, facts: NetworkFacts, *, window_seconds: float | None
    ) -> None:
        super().__init__(facts, window_seconds)
        self._graphs = graphs
        self._fft_frames = facts.fft_frames
        self._compiled: Any = None
        self._loading = threading.Lock()

    def begin(self) -> OpenVinoStream:
        """See `Streaming.begin`.

        Raises:
            ModelError: the graph cannot be made or loaded.
        """
        with self._loading:
            if self._compiled is None:
                self._compiled = load_graph(self._graphs, HOP_GRAPH, "f32", THREADS)
        stems, channels = len(self.names), self.channels
        return OpenVinoStream(self._compiled, self.stride, self._fft_frames, stems, channels)


class OpenVinoStream:
    """A `ModelStream`: the transforms by numpy, all between them by the graph."""

    def __init__(
        self, compiled: Any, stride: Stride, fft_frames: int, stems: int, channels: int
    ) -> None:
        self._request = compiled.create_infer_request()
        self._hop_frames = stride.hop_frames
        self._fft_frames = fft_frames
        self._analysis, self._synthesis = low_delay_windows(fft_frames, stride.hop_frames)
        self._heard = np.zeros((channels, fft_frames), np.float32)
        self._tail = np.zeros((stems, channels, stride.hop_frames), np.float32)
        _spectrum, *state = compiled.inputs
        self._state = [np.zeros(tuple(one.shape), np.float32) for one in state]

    def __call__(self, heard: Samples) -> Samples:
        """See `ModelStream`.

        Raises:
            ModelError: OpenVINO fails, or what the network gives is not finite.
        """
        starts = range(0, len(heard), self._hop_frames)
        try:
            hops = [self._hop(heard[at : at + self._hop_frames]) for at in starts]
        except RuntimeError as error:
            raise failure(error) from error
        stems = np.concatenate(hops, axis=1)
        if not math.isfinite(float(stems.sum())):
            raise not_finite()
        return stems

    def _hop(self, frames: Samples) -> Samples:
        hop = self._hop_frames
        self._heard = np.concatenate([self._heard[:, hop:], frames.T], axis=1)
        spectrum = np.fft.rfft(self._heard * self._analysis).astype(np.complex64, copy=False)
        parts = spectrum.view(np.float32).reshape(1, len(spectrum), 1, -1, 2)
        out = self._request.infer([parts, *self._state], share_inputs=True, share_outputs=True)
        masks, *state = out.values()
        # these lie in the request's memory, which the next hop will use
        self._state = [np.array(one) for one in state]
        masked = masks.view(np.complex64)[0, :, :, 0, :, 0] * spectrum
        # of numpy before 2 it is double
        sound = np.fft.irfft(masked, self._fft_frames).astype(np.float32, copy=False)
        ends = sound[..., -2 * hop :] * self._synthesis
        stems: Samples = ends[..., :hop] + self._tail
        self._tail = ends[..., hop:]
        return stems.transpose(0, 2, 1)
