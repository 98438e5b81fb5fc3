"""Running a network on an NVIDIA GPU: copies beside the computation, and what fits into memory."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

from streamer.models.backends.cuda_graphs import Forward, GraphedNetwork
from streamer.models.networks.checkpoint import Network
from streamer.models.separator import WHOLE

MOST_WINDOWS = 8
"""More at a time were not tried; each takes 11 MB of pinned memory for its stems, several times."""
_FREE_SHARE = 0.8  # the rest is for other programs, and for what gets lost between blocks


class CudaRunner:
    """Runs a network for several threads at a time: while one computes, another copies.

    ``forward`` is what the network does on the device.

    The copies go from and to pinned memory on streams of their own; torch's allocator of pinned
    memory keeps the buffers of earlier calls for later ones. What a call enqueues is enqueued as a
    whole; it waits for its result alone.
    """

    def __init__(self, network: Network, forward: Forward, device: torch.device) -> None:
        self._eager = forward
        self._device = device
        self._lock = threading.Lock()
        self._inward = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._compute = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._outward = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        # the weights are still on their way, on the stream that is current here
        self._compute.wait_stream(torch.cuda.current_stream(device))
        self._forward = GraphedNetwork(network, forward, self._capture)

    def __call__(self, mix: torch.Tensor, kept: slice) -> torch.Tensor:
        """Separate ``(windows, channels, frames)`` into ``(windows, stems, kept, channels)``.

        Both are on the host; the result is float32.
        """
        with self._lock, torch.cuda.device(self._device):
            stems = self._separate(self._bring(mix), kept)
            with torch.cuda.stream(self._outward):
                fetched = torch.empty(stems.shape, dtype=torch.float32, pin_memory=True)
                fetched.copy_(stems, non_blocking=True)
                done = self._outward.record_event()
        done.synchronize()
        return fetched

    def _bring(self, mix: torch.Tensor) -> torch.Tensor:
        pinned = mix.pin_memory()
        with torch.cuda.stream(self._inward):
            there = pinned.to(self._device, non_blocking=True)
        self._compute.wait_stream(self._inward)
        there.record_stream(self._compute)
        return there

    def _separate(self, there: torch.Tensor, kept: slice) -> torch.Tensor:
        with torch.cuda.stream(self._compute):
            stems = self._forward(there, kept).to(torch.float32).transpose(2, 3)
            # a copy in any case, since a graph overwrites its result
            stems = stems.clone(memory_format=torch.contiguous_format)
        self._outward.wait_stream(self._compute)
        stems.record_stream(self._outward)
        return stems

    def _capture(
        self, function: Callable[[], torch.Tensor]
    ) -> tuple[Callable[[], None], torch.Tensor]:
        graph = torch.cuda.CUDAGraph()
        # thread_local: another thread may be waiting for its copy at this moment
        with torch.cuda.graph(graph, stream=self._compute, capture_error_mode="thread_local"):
            result = function()
        return graph.replay, result

    def measure_fitting_windows(self, mix: torch.Tensor) -> int:
        """Run one window, ``(1, channels, frames)``; return how many like it fit into memory."""
        with self._lock, torch.cuda.device(self._device), torch.cuda.stream(self._compute):
            before = torch.cuda.memory_allocated(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
            self._eager(mix.to(self._device), WHOLE)
            peak = torch.cuda.max_memory_allocated(self._device)
            free, _ = torch.cuda.mem_get_info(self._device)
            reserved = torch.cuda.memory_reserved(self._device)
            kept = reserved - torch.cuda.memory_allocated(self._device)
        return fitting_windows(free + kept, peak - before)


def fitting_windows(free_bytes: int, window_bytes: int) -> int:
    """Return how many windows to separate at a time where each takes ``window_bytes``."""
    return min(max(int(_FREE_SHARE * free_bytes / max(window_bytes, 1)), 1), MOST_WINDOWS)
