"""The library OpenVINO, which is an extra, without what it would send home."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

from streamer.errors import ModelError


def has_openvino() -> bool:
    """Return whether the package is installed."""
    return find_spec("openvino") is not None


def openvino_missing() -> ModelError:
    """Return the error for a wish for OpenVINO where it is not installed."""
    return ModelError(
        "backend=openvino needs the package openvino, which is not here; "
        "`pip install openvino`, or try --backend torch"
    )


def load_openvino() -> Any:
    """Import and return the module ``openvino``.

    Raises:
        ModelError: if it is not installed.
    """
    if not has_openvino():
        raise openvino_missing()
    # Importing openvino reports that to its makers through this package; without it a stand-in
    # of its own is taken, which reports nothing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
