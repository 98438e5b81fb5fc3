"""The device that a model runs on."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.errors import ModelError

if TYPE_CHECKING:
    import torch


def kind_of(wish: str) -> str:
    """Return the kind of the device of that name; torch is imported only if it may not be a CPU.

    Raises:
        ModelError: see `pick_device`.
    """
    if wish == "cpu" or (wish == "auto" and not _may_have_others()):
        return "cpu"
    return pick_device(wish).type


def _may_have_others() -> bool:
    if sys.platform == "linux":
        return any(Path("/dev").glob("nvidia*")) or any(Path("/dev").glob("dri/render*"))
    return sys.platform != "darwin" or platform.machine() == "arm64"


def pick_device(wish: str) -> torch.device:
    """Return the device of that name; ``auto`` is cuda, else mps, else cpu.

    Raises:
        ModelError: it is not on this machine, or not a device at all.
    """
    import torch

    there = present()
    if wish == "auto":
        return torch.device("cuda" if "cuda" in there else "mps" if "mps" in there else "cpu")
    try:
        device = torch.device(wish)
    except RuntimeError:
        device = None
    if device is None or device.type not in there or (device.index or 0) >= there[device.type]:
        every = ", ".join(_spelled(there))
        raise ModelError(f"device={wish} is not on this machine; there are {every}")
    return device


def present() -> dict[str, int]:
    """Return the kinds of devices on this machine and how many there are of each."""
    import torch

    kinds = {"cpu": 1}
    if torch.cuda.is_available():
        kinds["cuda"] = torch.cuda.device_count()
    if torch.backends.mps.is_available():
        kinds["mps"] = 1
    if torch.xpu.is_available():
        kinds["xpu"] = torch.xpu.device_count()
    return kinds


def _spelled(kinds: dict[str, int]) -> list[str]:
    spelled = ["auto"]
    for kind, count in kinds.items():
        spelled += [kind] if count == 1 else [f"{kind}:{index}" for index in range(count)]
    return spelled
