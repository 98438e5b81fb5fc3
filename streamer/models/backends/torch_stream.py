"""A causal network, run by torch along a stream: nothing is computed twice."""

from __future__ import annotations

import numpy as np
import torch

from streamer.audio import Samples
from streamer.models.backends.torch_separator import checked, computing, move
from streamer.models.networks.checkpoint import Network
from streamer.models.separator import WHOLE, Stride, along, window_of_stream


class TorchStreamSeparator:
    """A `Streaming` separator over a network as `streamer.models.networks.causal` has it.

    Several threads may call it; a stream that it began is one thread's.

    Args:
        network: the network, in evaluation mode; it is moved to ``device``.
        device: where it runs.
        autocast: the type that its matrix products are computed in; None: as the weights are.
        segment: the seconds of a window, of which all but what is new is past.
    """

    def __init__(
        self,
        network: Network,
        device: torch.device,
        *,
        autocast: torch.dtype | None = None,
        segment: float | None = None,
    ) -> None:
        self._network = move(network, device)
        self._device = device
        self._autocast = autocast
        self.names: tuple[str, ...] = tuple(network.sources)
        self.samplerate = int(network.samplerate)
        self.channels = int(network.audio_channels)
        self.stride: Stride = network.stream_stride
        self.level_rms: float = network.level_rms
        self.window_frames = window_of_stream(self.stride, self.samplerate, segment)

    def input_frames(self, window_frames: int) -> int:
        """See `Separator.input_frames`: what it wants of the past is its own affair."""
        return window_frames

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        """See `Separator`: each window is a short song.

        Raises:
            ModelError: memory runs out, the network fails, or what it gives is not finite.
        """
        stems = np.stack([along(self.begin(), self.stride, window) for window in windows])
        return stems[:, :, kept]

    def begin(self) -> TorchStream:
        """See `Streaming.begin`."""
        return TorchStream(self._network, self._device, self._autocast)


class TorchStream:
    """A `ModelStream` of a network with ``initial_state`` and ``step``."""

    def __init__(
        self, network: Network, device: torch.device, autocast: torch.dtype | None
    ) -> None:
        self._network = network
        self._device = device
        self._autocast = autocast
        self._state = network.initial_state(1, device)

    def __call__(self, heard: Samples) -> Samples:
        """See `ModelStream`.

        Raises:
            ModelError: memory runs out, the network fails, or what it gives is not finite.
        """
        with computing(self._device, self._autocast):
            mix = torch.from_numpy(np.ascontiguousarray(heard.T))[None].to(self._device)
            stems = self._network.step(mix, self._state)[0]
            return checked(stems.to("cpu", torch.float32).transpose(1, 2).contiguous())
