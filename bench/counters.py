"""Where the time of a window goes in OpenVINO: its own counters, by kind of layer.

    python bench/counters.py [--model mini|full] [--precision bfloat16] [--keep A.xml]
    python bench/counters.py --against A.xml

Each layer counts with its quickest of ``--rounds`` windows, since other programs only add.
``--keep`` leaves the graph; ``--against`` shows those of such a graph, of another version for
example, too, alternates its windows with ours, and compares neighbours. A minute.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from whole_process import MODELS, export_model, introduction, markdown, parser

from streamer.models.backends.openvino_export import write_graph
from streamer.models.backends.openvino_library import openvino_core
from streamer.models.networks.checkpoint import read_network
from streamer.models.networks.crop import Crop

TYPES = {"float32": "f32", "bfloat16": "bf16"}
WARM_UP_ROUNDS = 2


def main() -> None:
    wish = _arguments()
    print(introduction("stemstream", "openvino"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        graph = wish.keep or folder / "graph.xml"
        export_model(wish.model, folder)
        network = read_network(folder / f"{wish.model}.th", trust_checkpoint=True)
        frames = int(network.segment * network.samplerate)
        write_graph(network, Crop.whole(frames, network.hop_length), graph)
        if wish.against:
            print(table(wish.against, wish), end="\n\n")
        print(table(graph, wish))
        if wish.against:
            print(f"\n{compare(wish.against, graph, wish)}")


def table(graph: Path, wish: argparse.Namespace) -> str:
    """Return the milliseconds of each kind of layer."""
    request, window = ready(graph, wish, counting=True)
    best: dict[str, tuple[float, str]] = {}
    for _ in range(wish.rounds + WARM_UP_ROUNDS):
        request.infer(window, share_inputs=True, share_outputs=True)
        for one in request.profiling_info:
            spent = one.real_time.total_seconds() * 1e3, one.node_type
            best[one.node_name] = min(best.get(one.node_name, spent), spent)
    spent_ms: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for milliseconds, kind in best.values():
        spent_ms[kind] += milliseconds
        count[kind] += milliseconds > 0
    whole = sum(spent_ms.values())
    rows = [
        [kind, str(count[kind]), f"{spent:.1f}", f"{100 * spent / whole:.1f}%"]
        for kind, spent in spent_ms.most_common(12)
    ]
    return markdown(["layers", "number", "ms", "share"], [*rows, ["all", "", f"{whole:.1f}", ""]])


def compare(other: Path, graph: Path, wish: argparse.Namespace) -> str:
    """Return how many times as fast the graph is as another."""
    pair = [ready(one, wish) for one in (other, graph)]
    ratios = []
    for number in range(wish.rounds + WARM_UP_ROUNDS):
        order = (0, 1) if number % 2 else (1, 0)
        took = {place: timed(*pair[place]) for place in order}
        if number >= WARM_UP_ROUNDS:
            ratios.append(took[0] / took[1])
    faster = sum(ratio > 1 for ratio in ratios)
    return (
        f"{statistics.median(ratios):.3f} times as fast (median; {min(ratios):.3f} to "
        f"{max(ratios):.3f}), faster in {faster} of {len(ratios)}"
    )


def ready(graph: Path, wish: argparse.Namespace, *, counting: bool = False) -> tuple[Any, Any]:
    """Return a request over a graph, and a window of noise for it."""
    options = {
        "INFERENCE_PRECISION_HINT": TYPES[wish.precision],
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
        "PERF_COUNT": counting,
    }
    compiled = openvino_core().compile_model(str(graph), "CPU", options)
    draw = np.random.default_rng(0)
    window = [np.abs(draw.standard_normal(tuple(i.shape), np.float32)) for i in compiled.inputs]
    return compiled.create_infer_request(), window


def timed(request: Any, window: Any) -> float:
    """Return how many seconds a window takes."""
    begun = time.perf_counter()
    request.infer(window, share_inputs=True, share_outputs=True)
    return time.perf_counter() - begun


def _arguments() -> argparse.Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("--model", choices=MODELS, default="mini")
    arguments.add_argument("--precision", choices=tuple(TYPES), default="float32")
    arguments.add_argument("--rounds", type=int, default=10)
    arguments.add_argument("--keep", type=Path, help="leave the graph here")
    arguments.add_argument("--against", type=Path, help="compare with this graph")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
