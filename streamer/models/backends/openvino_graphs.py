"""The graphs of a network for OpenVINO, kept on disk: torch is needed only to make them."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from streamer.cache import (
    JsonStore,
    is_intact,
    keep,
    machine,
    note_use,
    remove,
    remove_unused,
)
from streamer.errors import ModelError, WeightsError
from streamer.models.backends.openvino_library import failure, load_openvino, openvino_core
from streamer.models.networks.crop import Crop
from streamer.models.networks.facts import NetworkFacts
from streamer.user_folders import cache_folder

if TYPE_CHECKING:
    from streamer.models.networks.checkpoint import Network

LAYOUT: Final = 6
"""Goes up when the graphs that are made of a network change."""
GRAPH: Final = "graph.xml"
MOST_BYTES: Final = 2 << 30
"""How much is kept of all networks: a window length of a full-size HTDemucs takes 220 MB, and a bag
has four of them."""
HOP_GRAPH: Final = "hop"
"""The graph of a causal network: its layers for one hop."""

Wanted: TypeAlias = Crop | int | Literal["hop"]
"""What a graph is for: a part of windows, so many columns of U-Nets, or `HOP_GRAPH`."""

_LOG: Final = logging.getLogger(__name__)


class Graphs:
    """The graphs of the network in one file; those that are not on disk are made.

    Args:
        path: the file of weights.
        read: gives the network in it.
        folder: where they are kept (default: the user's cache folder).
    """

    def __init__(self, path: Path, read: Callable[[], Network], folder: Path | None = None) -> None:
        self._read = read
        self.digest = _digest(path)
        self._temporary: Path | None = None
        folder = folder or cache_folder("graphs")
        self._folder = None if folder is None else folder / self.digest

    def facts(self) -> NetworkFacts:
        """Return the facts of the network.

        Raises:
            WeightsError: the file is no network of Demucs.
        """
        store = JsonStore(self._folder, LAYOUT)
        identity = {"sha256": self.digest}
        with suppress(KeyError, TypeError, ValueError):
            return NetworkFacts.from_json(store.read(identity))
        found = NetworkFacts.of(self._read())
        store.write(identity, found.as_json())
        return found

    def has(self, wanted: Wanted) -> bool:
        """Return whether there is one on disk; whether it is whole, `get` sees."""
        # not `Path.is_dir`, which raises for a folder of another user's
        return self._folder is not None and os.path.isdir(self._folder / _folder_of(wanted))  # noqa: PTH112

    def get(self, wanted: Wanted, *, afresh: bool = False) -> Path:
        """Return the graph; with ``afresh`` it is made even if it is there.

        Raises:
            ModelError: OpenVINO does not take the network, or the graph cannot be stored anywhere.
        """
        name = _folder_of(wanted)
        if self._folder is not None:
            there = self._folder / name
            if not afresh and is_intact(there, self._identity(name)):
                note_use(there)
                return there / GRAPH
            # a folder that cannot be written to, or a full disk
            with suppress(OSError):
                return self._make(wanted, there)
        try:
            return self._make(wanted, self._scratch() / name)
        except OSError as error:
            raise ModelError(
                f"the model cannot be stored for OpenVINO ({error.strerror or error}); free some "
                "space in the folder for temporary files, or try --backend torch"
            ) from error

    def compiled(
        self, graph: Path, options: Mapping[str, Any], load: Callable[[Path | None], Any]
    ) -> Any:
        """Return the graph that ``load`` loads; the files that it keeps are checked, too.

        Args:
            graph: what `get` gave.
            options: what else the loaded graph depends on.
            load: loads the graph; it may keep files in the folder that it is given (None: in none).
        """
        text = repr(sorted(options.items()))
        name = f"{graph.parent.name}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        folder, identity = graph.parent.with_name(name), self._identity(f"{name} {text}")
        if is_intact(folder, identity):
            note_use(folder)
            return load(folder)
        loaded: list[Any] = []
        with suppress(OSError):
            keep(folder, identity, lambda part: loaded.append(load(part)))
            self._tidy()
        return loaded[0] if loaded else load(None)

    def _make(self, wanted: Wanted, folder: Path) -> Path:
        from streamer.models.backends.openvino_export import (
            write_graph,
            write_hop_graph,
            write_mask_graph,
        )

        def fill(part: Path) -> None:
            if wanted == HOP_GRAPH:
                write_hop_graph(self._read(), part / GRAPH)
            elif isinstance(wanted, int):
                write_mask_graph(self._read(), wanted, part / GRAPH)
            else:
                write_graph(self._read(), wanted, part / GRAPH)

        _LOG.info("the model is made ready for OpenVINO")
        keep(folder, self._identity(folder.name), fill)
        for old in folder.parent.glob(f"{folder.name}.*"):  # made of the graph that was there
            if not old.name.endswith(".part"):
                remove(old)
        self._tidy()
        return folder / GRAPH

    def _tidy(self) -> None:
        """Something was added: what nobody uses any more makes room, of all networks."""
        if self._folder is None:
            return
        with suppress(OSError):  # what was added is there all the same
            remove_unused(self._folder.parent.glob("*/*"), MOST_BYTES, time.time())

    def _identity(self, name: str) -> str:
        return f"{self.digest} {name}"

    def _scratch(self) -> Path:
        """Return a folder that goes when this object does."""
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="stemstream-"))
            weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
        return self._temporary


def _folder_of(wanted: Wanted) -> str:
    if wanted == HOP_GRAPH:
        return f"{LAYOUT}-{wanted}"
    if isinstance(wanted, int):
        return f"{LAYOUT}-columns-{wanted}"
    return f"{LAYOUT}-{wanted.frames}-{wanted.begin}-{wanted.end}"


def load_graph(graphs: Graphs, wanted: Wanted, numbers: str, threads: int) -> Any:
    """Return a compiled graph of a network, that computes in ``f32`` or ``bf16``.

    Raises:
        ModelError: it cannot be made or loaded.
    """
    # OPTIMIZE_SIZE would leave the weights in the graph's own file. But what it keeps is not loaded
    # again from there (2026.4.1): each start compiled the graph anew, for half a second and more.
    options = {
        "INFERENCE_PRECISION_HINT": numbers,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # the callbacks of a live run want those cores too
        "CACHE_MODE": "OPTIMIZE_SPEED",
    }
    try:
        return _compiled(graphs, graphs.get(wanted), options)
    except RuntimeError:  # another version of OpenVINO may have written what is there
        try:
            return _compiled(graphs, graphs.get(wanted, afresh=True), options)
        except RuntimeError as error:
            raise failure(error) from error


def _compiled(graphs: Graphs, graph: Path, options: Mapping[str, Any]) -> Any:
    def load(kept: Path | None) -> Any:
        place = {} if kept is None else {"CACHE_DIR": str(kept)}
        return openvino_core().compile_model(str(graph), "CPU", {**options, **place})

    of = {**options, "openvino": load_openvino().__version__, "machine": machine()}
    return graphs.compiled(graph, of, load)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); check its rights") from error
