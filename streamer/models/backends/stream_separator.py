"""What every backend's separator of a streaming network has, whatever computes its hops."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from streamer.audio import Samples
from streamer.models.networks.facts import NetworkFacts
from streamer.models.separator import WHOLE, ModelStream, Stride, along, window_of_stream


class StreamSeparator(ABC):
    """A `Streaming` separator. Several threads may call it; a stream that it began is one thread's.

    Args:
        facts: what must be known to feed the network.
        window_seconds: the length of a window: what is new, and the past before it.

    Raises:
        SettingsError: no hop fits into a window.
    """

    def __init__(self, facts: NetworkFacts, window_seconds: float | None) -> None:
        assert facts.stride is not None
        self.names = facts.names
        self.samplerate = facts.samplerate
        self.channels = facts.channels
        self.stride: Stride = facts.stride
        self.level_rms = facts.level_rms
        self.window_frames = window_of_stream(self.stride, self.samplerate, window_seconds)

    def input_frames(self, window_frames: int) -> int:
        """See `Separator.input_frames`: what it wants of the past is its own affair."""
        return window_frames

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        """See `Separator`: each window is a short song.

        Raises:
            ModelError: see `begin`; or what the network gives is not finite.
        """
        stems = np.stack([along(self.begin(), self.stride, window) for window in windows])
        return stems[:, :, kept]

    @abstractmethod
    def begin(self) -> ModelStream:
        """See `Streaming.begin`."""
