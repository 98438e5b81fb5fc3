"""Audio in memory is a source like any."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.audio import Samples
from streamer.files.decode.memory import MemorySource


@pytest.mark.parametrize("block_frames", [1, 7, 100, 1000])
def test_gives_what_it_was_given(block_frames: int) -> None:
    audio: Samples = np.random.default_rng(0).random((100, 2), np.float32)
    with MemorySource("noise", audio, 8000) as source:
        assert (source.frames, source.channels, source.seconds) == (100, 2, 0.0125)
        for begin in (0, 42, 100):
            source.seek(begin)
            blocks = list(source.blocks(block_frames))
            np.testing.assert_array_equal(np.concatenate([audio[:begin], *blocks]), audio)
        source.reopen()
        np.testing.assert_array_equal(np.concatenate(list(source.blocks(block_frames))), audio)
