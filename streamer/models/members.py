"""The networks of one model: their files, their facts, and separators over them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from streamer.errors import ModelError, WeightsError
from streamer.models.backends.openvino_graphs import Graphs
from streamer.models.backends.sparing import SparingSeparator
from streamer.models.choice import Backend
from streamer.models.networks.facts import NetworkFacts
from streamer.models.separator import Separator, WindowKind
from streamer.models.weights.places import Place, get_file
from streamer.settings import Precision

if TYPE_CHECKING:
    from pathlib import Path

    from streamer.models.networks.checkpoint import Network


class Networks:
    """The networks of a place. Each is read once at most for a precision, and only if needed.

    Args:
        place: where they are. trust_checkpoint: read pickles too, which can run code. threads: how
        many threads one may use (None: torch's choice; one for a model that remembers).
    """

    def __init__(self, place: Place, trust_checkpoint: bool, threads: int | None) -> None:
        if threads is not None and threads < 1:
            raise ModelError(f"threads={threads} must be at least 1")
        self.threads = threads
        self._place = place
        self._trust_checkpoint = trust_checkpoint
        self._graphs: dict[str, Graphs] = {}
        self._read: dict[tuple[str, Precision], Network] = {}

    def digest(self, member: str) -> str:
        """Return the identity of its weights."""
        return self._graphs_of(member).digest

    def facts(self, member: str) -> NetworkFacts:
        """Return the facts of a network, with the window that its bag wants.

        Raises:
            WeightsError: its weights cannot be had or are not what they should be.
        """
        facts = self._graphs_of(member).facts()
        wish = self._place.bag.window_seconds
        # as `demucs.apply.BagOfModels` does: a transformer's only shrinks
        if wish is None or (facts.transformer and wish > facts.window_seconds):
            return facts
        return replace(facts, window_seconds=wish)

    def separator(
        self, member: str, backend: Backend, windows: WindowKind, device: str
    ) -> Separator:
        """Return a network ready to run on a backend.

        Raises:
            SettingsError: the windows are longer than it can see.
            ModelError: the device is not there, or has no quick products of that precision.
            WeightsError: see `facts`.
        """
        if backend.library == "native":
            from streamer.models.backends.native_stream import NativeStreamSeparator

            return NativeStreamSeparator(
                self._file(member), self.facts(member), window_seconds=windows.seconds
            )
        if backend.library == "openvino":
            from streamer.models.backends.openvino_masks import OpenVinoMasks
            from streamer.models.backends.openvino_separator import OpenVinoSeparator
            from streamer.models.backends.openvino_stream import OpenVinoStreamSeparator

            graphs, facts = self._graphs_of(member), self.facts(member)
            if facts.stride is not None:
                return OpenVinoStreamSeparator(graphs, facts, window_seconds=windows.seconds)
            if facts.unets:
                return OpenVinoMasks(
                    graphs,
                    facts,
                    backend.precision,
                    window_seconds=windows.seconds,
                    threads=self.threads,
                )
            return OpenVinoSeparator(
                graphs, facts, backend.precision, windows=windows, threads=self.threads
            )
        return self._on_torch(member, backend.precision, windows, device)

    def _on_torch(
        self, member: str, precision: Precision, windows: WindowKind, device: str
    ) -> Separator:
        from streamer.models.backends.quantized import (
            SLOW_BFLOAT16,
            TYPES,
            has_bfloat16,
            round_layers,
        )
        from streamer.models.backends.torch_separator import TorchSeparator
        from streamer.models.backends.torch_stream import TorchStreamSeparator
        from streamer.models.devices import pick_device
        from streamer.models.threads import use_threads

        target = pick_device(device)
        if precision == "bfloat16" and target.type == "cpu" and not has_bfloat16():
            raise ModelError(SLOW_BFLOAT16)
        key = member, precision
        if key not in self._read:
            self._read[key] = self._fresh(member)
        network, facts = self._read[key], self.facts(member)
        autocast = TYPES[precision]
        use_threads(self.threads, stream=facts.stride is not None)
        if facts.stride is not None:
            return TorchStreamSeparator(
                network, target, autocast=autocast, window_seconds=windows.seconds
            )
        network.segment = facts.window_seconds
        if facts.transformer and windows.exact:
            network.use_train_segment = False
        if autocast is not None:
            round_layers(network, autocast)
        separator = TorchSeparator(
            network, target, autocast=autocast, window_seconds=windows.seconds
        )
        return separator if target.type == "cpu" else SparingSeparator(separator)

    def _graphs_of(self, member: str) -> Graphs:
        if member not in self._graphs:
            path = self._file(member)
            self._graphs[member] = Graphs(path, lambda: self._fresh(member))
        return self._graphs[member]

    def _fresh(self, member: str) -> Network:
        from streamer.models.networks.checkpoint import read_network
        from streamer.models.threads import set_up_torch

        set_up_torch(self.threads)
        return read_network(self._file(member), trust_checkpoint=self._trust_checkpoint)

    def _file(self, member: str) -> Path:
        path = get_file(self._place, member)
        if path.suffix != ".safetensors" and not self._trust_checkpoint:
            raise WeightsError(
                f"{path} is a pickle, which can run code; --trust-checkpoint loads it if you know "
                "where it comes from"
            )
        return path
