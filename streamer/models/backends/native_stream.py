"""A causal network, run by this project's own compiled code along a stream, without torch."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamer.audio import Samples
from streamer.errors import ModelError
from streamer.models.backends.native_network import begin, forget, hop, workspace
from streamer.models.backends.native_weights import NativeNetwork, pack
from streamer.models.backends.stream_separator import StreamSeparator
from streamer.models.networks.facts import NetworkFacts

_TELL_AFTER_SECONDS: Final = 2.0

_LOG: Final = logging.getLogger(__name__)
_compiling = threading.Lock()
_ready: set[str] = set()  # the types of weights for which the code is there, in this process


class NativeStreamSeparator(StreamSeparator):
    """A `StreamSeparator` in compiled code.

    Its code is compiled when the first stream begins, and kept for next time.

    Args:
        path: the file of weights, in safetensors.
        facts: what must be known to feed the network in it.
        window_seconds: the length of a window: what is new, and the past before it.

    Raises:
        ModelError: the file holds no network that it can run.
    """

    def __init__(self, path: Path, facts: NetworkFacts, *, window_seconds: float | None) -> None:
        super().__init__(facts, window_seconds)
        self.network = pack(_arrays(path), len(self.names), self.channels, filters=facts.filters)

    def begin(self) -> NativeStream:
        """See `Streaming.begin`. The first time on a machine it takes some seconds."""
        stream = NativeStream(self.network, self.stride.hop_frames)
        with _compiling:
            kind = self.network.hidden.dtype.name
            if kind not in _ready:
                with _telling():
                    stream.warm_up()
                _ready.add(kind)
        return stream


class NativeStream:
    """A `ModelStream` over a packed network, of hops of ``hop_frames``."""

    def __init__(self, network: NativeNetwork, hop_frames: int) -> None:
        self._network = network
        self._state, self._room = begin(network), workspace(network)
        self._frames = np.zeros((hop_frames, network.channels), np.float32)
        self._stems = np.zeros((network.stems, hop_frames, network.channels), np.float32)

    def warm_up(self) -> None:
        """Have the code compiled that is not yet, and everything loaded; hear nothing."""
        self._hop()
        forget(self._state)

    def __call__(self, heard: Samples) -> Samples:
        """See `ModelStream`.

        Raises:
            ModelError: what the network gives is not finite.
        """
        given = np.empty((len(self._stems), *heard.shape), np.float32)
        size = len(self._frames)
        for at in range(0, len(heard), size):
            self._frames[:] = heard[at : at + size]
            if not self._hop():
                raise ModelError(
                    "the model gave values that are no numbers (NaN or infinite); its weights are "
                    "damaged, or the input is: try another model, or --backend torch"
                )
            given[:, at : at + size] = self._stems
        return given

    def _hop(self) -> bool:
        return hop(self._network, self._state, self._room, self._frames, self._stems)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if path.suffix != ".safetensors":
        raise ModelError(
            f"backend=native reads weights from .safetensors files alone, and {path} is none; try "
            "--backend torch"
        )
    try:
        arrays: dict[str, NDArray[Any]] = load_file(path)
    # types that numpy lacks, names that are not UTF-8
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ModelError(
            f"backend=native cannot read {path} ({reason[:200]}); try --backend torch"
        ) from error
    return arrays


@contextlib.contextmanager
def _telling() -> Iterator[None]:
    """Say what is waited for, where that takes long."""
    words = "compiling the model's code for this processor, once"
    timer = threading.Timer(_TELL_AFTER_SECONDS, _LOG.info, [words])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
