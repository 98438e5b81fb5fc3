"""The graphs of one network, loaded as they are needed, and run by several threads."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

from streamer.models.backends.openvino_graphs import Graphs, Wanted, load_graph
from streamer.models.backends.openvino_library import failure
from streamer.settings import Precision

_TYPES: Final[Mapping[Precision, str]] = {"float32": "f32", "bfloat16": "bf16"}


class Requests:
    """Gives each thread a request of its own, of the graph that it wants.

    Args:
        graphs: the network.
        precision: ``float32`` or ``bfloat16``; of a processor without bfloat16 that is float32 too.
        threads: how many a graph may use.
    """

    def __init__(self, graphs: Graphs, precision: Precision, threads: int) -> None:
        self._graphs = graphs
        self._type = _TYPES[precision]
        self._threads = threads
        self._free: dict[Wanted, queue.SimpleQueue[Any]] = {}
        self._compiled: dict[Wanted, Any] = {}
        self._loading = threading.Lock()

    def load_ahead(self, wanted: Wanted) -> None:
        """Begin to load a graph on a thread of its own, if it is on disk."""
        if self._graphs.has(wanted):
            load = threading.Thread(
                target=self._load_quietly, args=(wanted,), name="stemstream-graph"
            )
            load.start()

    def _load_quietly(self, wanted: Wanted) -> None:
        with contextlib.suppress(Exception):  # the first window tries again, and tells
            self._load(wanted)

    @contextlib.contextmanager
    def take(self, wanted: Wanted) -> Iterator[Any]:
        """Give a request to this thread alone.

        Raises:
            ModelError: the graph cannot be made, loaded or run.
        """
        compiled = self._compiled.get(wanted) or self._load(wanted)
        free = self._free[wanted]
        try:
            request = free.get_nowait()
        except queue.Empty:
            request = compiled.create_infer_request()
        try:
            yield request
        except RuntimeError as error:
            raise failure(error) from error
        finally:
            free.put(request)

    def _load(self, wanted: Wanted) -> Any:
        with self._loading:
            if wanted not in self._compiled:
                self._free[wanted] = queue.SimpleQueue()
                self._compiled[wanted] = load_graph(self._graphs, wanted, self._type, self._threads)
            return self._compiled[wanted]
