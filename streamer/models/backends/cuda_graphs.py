"""A network's work on a GPU, captured once and replayed with one call (CUDA graphs).

A forward pass of HTDemucs is more than a thousand launches of small kernels. For a single window
the host may take longer to launch them than the GPU to run them. The rules are those of PyTorch's
documentation ("CUDA Graphs", in its CUDA semantics): static buffers, a warm-up on the same stream,
nothing between host and device.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch

from streamer.models.backends.host_values import HostValues
from streamer.models.networks.checkpoint import Network

_LOG = logging.getLogger(__name__)

Forward = Callable[[torch.Tensor, slice], torch.Tensor]
"""Separates ``(windows, channels, frames)`` on a device into ``(windows, stems, channels, kept)``;
the slice says which frames are kept."""

Capture = Callable[[Callable[[], torch.Tensor]], tuple[Callable[[], None], torch.Tensor]]
"""Records what a function does on the device; returns what does it again, and the result, which is
overwritten each time."""


@dataclass(frozen=True, eq=False)
class _Graph:
    given: torch.Tensor
    kept: slice
    replay: Callable[[], None]
    stems: torch.Tensor
    # its copies on the device are read by the graph
    values: HostValues


class GraphedNetwork:
    """A network that is captured at its first single window, and replayed for all like it.

    There is one graph at a time, since each keeps the memory that it needs: windows of another kind
    take its place when two of them come one after the other, as after a change of the live windows.
    Several windows at a time go through the network itself: they keep a GPU busy for longer than
    their launches take. So does everything where the capture fails, which the log tells (INFO).
    """

    def __init__(self, network: Network, forward: Forward, capture: Capture) -> None:
        self._forward = forward
        self._capture = capture
        self._graph: _Graph | None = None
        self._last: tuple[torch.Size, slice] | None = None
        # a graph would draw its random numbers once for all windows
        self._can = not any(getattr(part, "sin_random_shift", 0) for part in network.modules())

    def __call__(self, mix: torch.Tensor, kept: slice) -> torch.Tensor:
        """See `Forward`. The result is overwritten by the next call."""
        graph, last = self._graph, self._last
        self._last = mix.shape, kept
        if graph is not None and (graph.given.shape, graph.kept) == self._last:
            graph.given.copy_(mix)
            graph.replay()
            return graph.stems
        if self._can and len(mix) == 1 and (graph is None or last == self._last):
            return self._begin(mix, kept)
        return self._forward(mix, kept)

    def _begin(self, mix: torch.Tensor, kept: slice) -> torch.Tensor:
        self._graph = None  # first, for its memory
        values = HostValues()
        with torch.inference_mode(False), torch.no_grad():
            given = mix.clone()
            with values:
                warm = self._forward(given, kept)
            try:
                with values.again():
                    replay, stems = self._capture(lambda: self._forward(given, kept))
            except (RuntimeError, StopIteration) as error:
                self._can = False
                _LOG.info("no CUDA graph, each kernel is launched by itself: %s", error)
            else:
                self._graph = _Graph(given, kept, replay, stems, values)
        return warm
