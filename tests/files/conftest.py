"""Inputs made on the spot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from streamer.audio import Samples


@pytest.fixture(scope="session")
def tone() -> Callable[..., Samples]:
    """A quiet noise over sines that differ per channel, so that swaps and shifts show."""

    def make(frames: int, channels: int = 2, samplerate: int = 44100) -> Samples:
        time = np.arange(frames) / samplerate
        noise = np.random.default_rng(7).standard_normal((frames, channels)) * 0.01
        sines = [0.3 * np.sin(2 * np.pi * (220 + 110 * c) * time) for c in range(channels)]
        return (noise + np.stack(sines, axis=1)).astype(np.float32)

    return make
