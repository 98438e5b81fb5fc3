"""Models small enough for a test, and music-like noise to feed them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs

from streamer.audio import Samples
from streamer.models.separator import Bag, Member
from streamer.models.torch_separator import TorchSeparator

SOURCES = ["drums", "bass", "other", "vocals"]
RATE = 8000


def noise(frames: int, channels: int = 2, seed: int = 0) -> Samples:
    """Noise with swells and a quiet stretch, (frames, channels), below full scale."""
    draw = np.random.default_rng(seed)
    swell = 0.12 + 0.1 * np.sin(np.arange(frames) / 700)
    return (draw.standard_normal((frames, channels)) * swell[:, None]).clip(-0.8, 0.8).astype("f4")


@functools.cache
def tiny(kind: str = "htdemucs", seed: int = 0, segment: float = 0.5) -> torch.nn.Module:
    """A random network of each of Demucs's classes, small, at 8 kHz."""
    torch.manual_seed(seed)
    common = {"sources": SOURCES, "channels": 8, "samplerate": RATE, "segment": segment}
    if kind == "htdemucs":
        model = HTDemucs(**common, bottom_channels=16, t_layers=1, t_heads=2, nfft=1024, depth=4)
    elif kind == "hdemucs":
        model = HDemucs(**common, depth=4, nfft=1024, norm_starts=9, dconv_attn=9, dconv_lstm=9)
    else:
        model = Demucs(**common, depth=3, lstm_layers=0, norm_starts=9, dconv_mode=0)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def bag_of(models: Sequence[torch.nn.Module], weights: Sequence[Sequence[float]]) -> Bag:
    """A bag of loaded networks."""
    members = [
        Member(TorchSeparator(model, torch.device("cpu")), tuple(map(float, row)))
        for model, row in zip(models, weights, strict=True)
    ]
    return Bag("tiny", members, tuple(SOURCES), RATE, 2)
