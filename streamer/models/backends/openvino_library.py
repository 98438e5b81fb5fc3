"""The library OpenVINO, an extra: one instance for all, and its telemetry switched off."""

from __future__ import annotations

import functools
import sys
import threading
from importlib.util import find_spec
from typing import Any

from streamer.errors import ModelError
from streamer.models.allocator import share_freed_memory

_ALONE, _IMPORTING = threading.Lock(), threading.Lock()
_CONVERTER = "openvino.tools.ovc"


def has_openvino() -> bool:
    """Return whether the package is installed."""
    return find_spec("openvino") is not None


def openvino_missing() -> ModelError:
    """Return the error where OpenVINO is asked for and not installed."""
    return ModelError(
        "backend=openvino needs the package openvino, which is not here; "
        "`pip install 'stemstream[openvino]'`, or try --backend torch"
    )


def load_openvino() -> Any:
    """Import and return the module ``openvino``.

    Raises:
        ModelError: it is not installed.
    """
    if not has_openvino():
        raise openvino_missing()
    share_freed_memory()
    with _IMPORTING:
        if "openvino" not in sys.modules:
            _import_without_converter()
    import openvino

    return openvino


def _import_without_converter() -> None:
    """Import it without what takes as long to import as all the rest; that comes when called."""
    sys.modules[_CONVERTER] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        del sys.modules[_CONVERTER]
    openvino.convert_model = _convert_model


def _convert_model(*args: Any, **options: Any) -> Any:
    """Do what ``openvino.convert_model`` does."""
    # Importing it reports that to its makers through this package; without it a stand-in of its
    # own is taken, which reports nothing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    from openvino.tools import ovc

    return ovc.convert_model(*args, **options)


def openvino_core() -> Any:
    """Return this process's one ``openvino.Core``.

    The plugin of each sets the stack that signals are handled on, for the thread that loads it, and
    frees that memory when it goes. Where there were several, that thread could be left with a stack
    that was freed, and the next signal (Ctrl-C, the end of a child) ended the process.

    Raises:
        ModelError: OpenVINO is not installed.
    """
    with _ALONE:
        return _core()


@functools.cache
def _core() -> Any:
    return load_openvino().Core()


def failure(error: Exception) -> ModelError:
    """Return our error for an error of OpenVINO."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].rstrip(".")
    return ModelError(f"the model failed in OpenVINO ({reason[:200]}); try --backend torch")


def not_finite() -> ModelError:
    """Return the error for stems that are no numbers."""
    return ModelError(
        "the model gave values that are no numbers (NaN or infinite); its weights are damaged, or "
        "the input is: try another model, or --precision float32"
    )
