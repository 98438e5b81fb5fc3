"""A causal network, run by torch along a stream: nothing is computed twice."""

from __future__ import annotations

import numpy as np
import torch

from streamer.audio import Samples
from streamer.models.backends.stream_separator import StreamSeparator
from streamer.models.backends.torch_separator import checked, computing, move
from streamer.models.networks.checkpoint import Network
from streamer.models.networks.facts import NetworkFacts


class TorchStreamSeparator(StreamSeparator):
    """A `StreamSeparator` on torch, over a network as `streamer.models.networks.causal` has it.

    Args:
        network: the network, in evaluation mode; it is moved to ``device``.
        device: where it runs.
        autocast: the type that its matrix products are computed in; None: as the weights are.
        window_seconds: the length of a window: what is new, and the past before it.
    """

    def __init__(
        self,
        network: Network,
        device: torch.device,
        *,
        autocast: torch.dtype | None = None,
        window_seconds: float | None = None,
    ) -> None:
        super().__init__(NetworkFacts.of(network), window_seconds)
        self._network = move(network, device)
        self._device = device
        self._autocast = autocast

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
