"""What holds for a streaming network, whatever computes it."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.audio import Samples
from streamer.errors import ModelError
from streamer.models.separator import Streaming


def assert_same_stream(ours: Streaming, reference: Streaming, mix: Samples) -> None:
    """A stream gives what the reference's does, in hops of any number, beside another stream."""
    for what in ("names", "samplerate", "channels", "stride", "window_frames", "level_rms"):
        assert getattr(ours, what) == getattr(reference, what), what
    hop, expected = ours.stride.hop_frames, reference.begin()(mix)
    one, other, by_hops = ours.begin(), ours.begin(), ours.begin()
    other(mix[::-1].copy())
    got = np.concatenate(
        [one(mix[at : at + 4 * hop]) for at in range(0, len(mix), 4 * hop)], axis=1
    )
    assert (got.shape, got.dtype) == (expected.shape, np.float32)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    parts = [by_hops(mix[at : at + hop]) for at in range(0, len(mix), hop)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), got)


def assert_no_number_stays(ours: Streaming, mix: Samples, hop: int, wrong: float) -> None:
    """A sample that is no number fails its hop alone; the stream begins again behind it."""
    damaged = mix[:hop].copy()
    damaged[10, 1] = wrong
    stream = ours.begin()
    stream(mix)
    with pytest.raises(ModelError, match="no numbers"):
        stream(damaged)
    np.testing.assert_array_equal(stream(mix), ours.begin()(mix))
