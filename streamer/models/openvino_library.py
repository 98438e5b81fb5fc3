"""The library OpenVINO, which is an extra: without what it would send home, and one for all."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from streamer.cache import machine
from streamer.errors import ModelError
from streamer.models.graphs import HOP_GRAPH, Graphs, Wanted

_ALONE = threading.Lock()


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


def openvino_core() -> Any:
    """Return this process's one ``openvino.Core``.

    The plugin of each sets the stack that signals are handled on, for the thread that loads it, and
    frees that memory when it goes. Where there were several, that thread could be left with a stack
    that was freed, and the next signal (Ctrl-C, the end of a child) ended the process.

    Raises:
        ModelError: if OpenVINO is not installed.
    """
    with _ALONE:
        return _core()


@functools.cache
def _core() -> Any:
    return load_openvino().Core()


def load_graph(graphs: Graphs, wanted: Wanted, numbers: str, threads: int) -> Any:
    """Return a compiled graph of a network, that computes in ``f32`` or ``bf16``.

    Raises:
        ModelError: it cannot be made or loaded.
    """
    # OPTIMIZE_SIZE leaves the weights in the graph's own file. But the graph of a hop came back
    # from that with two taps for three (2026.4.1), so it is kept whole; it is small.
    keeping = "OPTIMIZE_SPEED" if wanted == HOP_GRAPH else "OPTIMIZE_SIZE"
    options = {
        "INFERENCE_PRECISION_HINT": numbers,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # the callbacks of a live run want those cores too
        "CACHE_MODE": keeping,
    }
    try:
        return _compile(graphs, graphs.get(wanted), options)
    except RuntimeError:  # another version of OpenVINO may have written what is there
        try:
            return _compile(graphs, graphs.get(wanted, afresh=True), options)
        except RuntimeError as error:
            raise failure(error) from error


def _compile(graphs: Graphs, graph: Path, options: Mapping[str, Any]) -> Any:
    def load(kept: Path | None) -> Any:
        place = {} if kept is None else {"CACHE_DIR": str(kept)}
        return openvino_core().compile_model(str(graph), "CPU", {**options, **place})

    of = {**options, "openvino": load_openvino().__version__, "machine": machine()}
    return graphs.compiled(graph, of, load)


def failure(error: Exception) -> ModelError:
    """Return the error for one of OpenVINO's."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].rstrip(".")
    return ModelError(f"the model failed in OpenVINO ({reason[:200]}); try --backend torch")


def not_finite() -> ModelError:
    """Return the error for stems that are no numbers."""
    return ModelError(
        "the model gave values that are no numbers (NaN or infinite); its weights are damaged, or "
        "the input is: try another model, or --precision float32"
    )
