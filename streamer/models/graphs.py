"""What OpenVINO needs of a network, kept on disk: once made, torch is not imported for it again."""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from streamer.cache import JsonStore, cache_folder, is_intact, keep, remove
from streamer.errors import ModelError, WeightsError
from streamer.models.crop import Crop
from streamer.models.separator import Stride

if TYPE_CHECKING:
    from streamer.models.checkpoint import Network

LAYOUT: Final = 3
"""Goes up when the graphs that are made of a network change."""
GRAPH: Final = "graph.xml"
HOP_GRAPH: Final = "hop"
"""The graph of a causal network: its layers for one hop."""

Wanted: TypeAlias = Crop | Literal["hop"]
"""What a graph is for: a part of windows, or `HOP_GRAPH`."""

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What must be known of a network to feed it.

    ``segment_seconds`` is what it sees at once, as its maker wrote it. ``transformer``: whether it
    is an HTDemucs; ``hybrid``, ``masks`` and ``halo_columns``: see `hybrid`; ``stride``
    and ``level_rms`` are of a network that goes along a stream (`Streaming`).
    """

    names: tuple[str, ...]
    samplerate: int
    channels: int
    segment_seconds: Fraction | float
    fft_frames: int
    transformer: bool
    hybrid: bool
    masks: bool
    halo_columns: int | None
    stride: Stride | None
    level_rms: float

    @classmethod
    def of(cls, network: Network) -> Anatomy:
        """Return that of a network."""
        from demucs.htdemucs import HTDemucs

        from streamer.models.hybrid import halo_columns, is_hybrid, masks

        return cls(
            names=tuple(network.sources),
            samplerate=int(network.samplerate),
            channels=int(network.audio_channels),
            segment_seconds=network.segment,
            fft_frames=int(getattr(network, "nfft", 0)),
            transformer=isinstance(network, HTDemucs),
            hybrid=is_hybrid(network),
            masks=masks(network),
            halo_columns=halo_columns(network),
            stride=getattr(network, "stream_stride", None),
            level_rms=getattr(network, "level_rms", 1.0),
        )


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

    def anatomy(self) -> Anatomy:
        """Return what is to be known of the network.

        Raises:
            WeightsError: the file is no network of Demucs.
        """
        store = JsonStore(self._folder, LAYOUT)
        identity = {"sha256": self.digest}
        with suppress(KeyError, TypeError, ValueError):
            return _from_json(store.read(identity))
        found = Anatomy.of(self._read())
        store.write(identity, _as_json(found))
        return found

    def get(self, wanted: Wanted, *, afresh: bool = False) -> Path:
        """Return the graph; ``afresh`` makes one that is there too.

        Raises:
            ModelError: OpenVINO does not take the network, or the graph cannot be stored anywhere.
        """
        name = f"{LAYOUT}-{_name_of(wanted)}"
        if self._folder is not None:
            there = self._folder / name
            if not afresh and is_intact(there, self._identity(name)):
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
        """Return what ``load`` makes of a graph; what it keeps for next time is checked, too.

        Args:
            graph: what `get` gave.
            options: what else decides over what is made.
            load: loads the graph; it may keep files in the folder that it is given (None: in none).
        """
        text = repr(sorted(options.items()))
        name = f"{graph.parent.name}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        folder, identity = graph.parent.with_name(name), self._identity(f"{name} {text}")
        if is_intact(folder, identity):
            return load(folder)
        loaded: list[Any] = []
        with suppress(OSError):
            keep(folder, identity, lambda part: loaded.append(load(part)))
        return loaded[0] if loaded else load(None)

    def _make(self, wanted: Wanted, folder: Path) -> Path:
        from streamer.models.openvino_graph import write_graph, write_hop_graph

        def fill(part: Path) -> None:
            if wanted == HOP_GRAPH:
                write_hop_graph(self._read(), part / GRAPH)
            else:
                write_graph(self._read(), wanted, part / GRAPH)

        _LOG.info("the model is made ready for OpenVINO")
        keep(folder, self._identity(folder.name), fill)
        for old in folder.parent.glob(f"{folder.name}.*"):  # made of the graph that was there
            if not old.name.endswith(".part"):
                remove(old)
        return folder / GRAPH

    def _identity(self, name: str) -> str:
        return f"{self.digest} {name}"

    def _scratch(self) -> Path:
        """Return a folder that goes when this object does."""
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="stemstream-"))
            weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
        return self._temporary


def _name_of(wanted: Wanted) -> str:
    if wanted == HOP_GRAPH:
        return wanted
    return f"{wanted.frames}-{wanted.begin}-{wanted.end}"


def _as_json(anatomy: Anatomy) -> dict[str, Any]:
    seconds = anatomy.segment_seconds
    written = str(seconds) if isinstance(seconds, Fraction) else seconds
    return {**asdict(anatomy), "segment_seconds": written}


def _from_json(value: dict[str, Any]) -> Anatomy:
    seconds = value["segment_seconds"]
    read = Fraction(seconds) if isinstance(seconds, str) else seconds
    stride = value["stride"] and Stride(**value["stride"])
    names = tuple(value["names"])
    return Anatomy(**{**value, "names": names, "segment_seconds": read, "stride": stride})


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); check its rights") from error
