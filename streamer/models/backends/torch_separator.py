"""A network of Demucs, run by torch as it is: the reference for all other backends."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from demucs.htdemucs import HTDemucs
from torch import nn

from streamer.audio import Samples
from streamer.errors import ModelError, ModelMemoryError
from streamer.models.backends.cuda import CudaRunner
from streamer.models.networks.checkpoint import Network
from streamer.models.networks.hybrid import halo_columns, separate_part
from streamer.models.separator import WHOLE, Load, window_of_song

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class TorchSeparator:
    """A `Separator` over a `demucs` network (Demucs, HDemucs or HTDemucs).

    It keeps nothing between calls, so several threads may call it. What it returns for a window is
    what the same network returns inside `demucs.apply.apply_model`.

    Args:
        network: the network, in evaluation mode; it is moved to ``device``.
        device: where it runs.
        autocast: the type that its matrix products are computed in; None: as the weights are.
        window_seconds: the length of its windows; None: the network's own. More than a
            transformer was trained on is refused.
    """

    def __init__(
        self,
        network: Network,
        device: torch.device,
        *,
        autocast: torch.dtype | None = None,
        window_seconds: float | None = None,
    ) -> None:
        self._network = move(network, device)
        self._device = device
        self._autocast = autocast
        self._window_seconds = window_seconds
        on_cuda = device.type == "cuda"
        self._cuda = CudaRunner(network, self._stems, device) if on_cuda else None
        self.names: tuple[str, ...] = tuple(network.sources)
        self.samplerate = int(network.samplerate)
        self.channels = int(network.audio_channels)
        transformer, own = isinstance(network, HTDemucs), network.segment
        self.window_frames = window_of_song(
            self.samplerate,
            own if window_seconds is None else window_seconds,
            own if transformer else None,
        )
        # of silence they make silence, except where they were told not to even out the level
        self._levels = getattr(network, "normalize", True)
        # elsewhere complex numbers take ways round that only the network's own code knows
        self._halo = halo_columns(network) if device.type in ("cpu", "cuda") else None
        self._fixed_frames = (
            self.window_frames if transformer and window_seconds is not None else None
        )

    def input_frames(self, window_frames: int) -> int:
        """Return how many frames to give it for a window, as `demucs.apply.apply_model` does.

        A transformer is given its training length, or the length that was chosen for its windows;
        the older networks get what their strides need.
        """
        if self._fixed_frames is not None:
            return self._fixed_frames
        if not hasattr(self._network, "valid_length"):
            return window_frames
        return int(self._network.valid_length(window_frames))

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        """Separate ``(windows, frames, channels)`` into ``(windows, stems, kept, channels)``.

        Raises:
            ModelError: memory runs out, the network fails, or what it gives is not finite.
        """
        if self._levels and not windows.any():
            frames = len(range(*kept.indices(windows.shape[1])))
            return np.zeros((len(windows), len(self.names), frames, self.channels), np.float32)
        # A copy, since torch takes no read-only array, and the network may write to its input.
        mix = np.array(np.swapaxes(windows, 1, 2), dtype=np.float32, order="C")
        with computing(self._device, self._autocast):
            return checked((self._cuda or self._eager)(torch.from_numpy(mix), kept))

    @property
    def device_name(self) -> str:
        """Where it runs."""
        return str(self._device)

    def best_load(self) -> Load:
        """Return how many windows fit into a GPU's memory; on a CPU one is as good as several.

        Two calls at a time have one copied while the other is computed.

        Raises:
            ModelError: not even one fits.
        """
        if self._cuda is None:
            return Load()
        frames = self.input_frames(self.window_frames)
        with computing(self._device, self._autocast):
            silence = torch.zeros(1, self.channels, frames)
            return Load(self._cuda.measure_fitting_windows(silence), calls=2)

    def on_cpu(self) -> TorchSeparator:
        """Return the same network on the CPU, in float32, in a copy that takes no device memory."""
        tensors = [*self._network.parameters(), *self._network.buffers()]
        copies: dict[int, object] = {id(one): _on_cpu(one) for one in tensors}
        network = copy.deepcopy(self._network, copies)
        return TorchSeparator(network, torch.device("cpu"), window_seconds=self._window_seconds)

    def _eager(self, mix: torch.Tensor, kept: slice) -> torch.Tensor:
        stems = self._stems(mix.to(self._device), kept).to("cpu", torch.float32)
        return stems.transpose(2, 3).contiguous()

    def _stems(self, mix: torch.Tensor, kept: slice) -> torch.Tensor:
        network, frames = self._network, mix.shape[-1]
        if self._halo is None or kept == WHOLE or network.valid_length(frames) != frames:
            whole: torch.Tensor = network(mix)
            return whole[..., kept]
        return separate_part(network, mix, kept, self._halo)


def move(network: Network, device: torch.device) -> Network:
    """Return the network, moved to a device.

    Raises:
        ModelError: it has no room there.
    """
    try:
        return network.to(device)
    except RuntimeError as error:
        raise _failure(error, device) from error


@contextlib.contextmanager
def computing(device: torch.device, autocast: torch.dtype | None) -> Iterator[None]:
    """A context for running a network: no gradients, matrix products in the type ``autocast``.

    Raises:
        ModelError: memory runs out, or the network fails.
    """
    # no cache: each weight is used once, and a graph would outlive what it holds
    precision: contextlib.AbstractContextManager[Any] = (
        contextlib.nullcontext()
        if autocast is None
        else torch.autocast(device.type, dtype=autocast, cache_enabled=False)
    )
    try:
        with torch.inference_mode(), precision:
            yield
    except (RuntimeError, ValueError, MemoryError) as error:
        raise _failure(error, device) from error


def checked(stems: torch.Tensor) -> Samples:
    """Return a network's stems, on the CPU, if they are finite.

    Raises:
        ModelError: what it gave is not finite.
    """
    # A sum is finite only if every term is, and takes one pass over the memory, without a copy.
    if not math.isfinite(float(stems.sum())) and not bool(torch.isfinite(stems).all()):
        raise ModelError(
            "the model gave values that are no numbers (NaN or infinite); its weights are "
            "damaged, or the input is: try another model, or --device cpu"
        )
    out: Samples = stems.numpy()
    return out


def _on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    data = tensor.detach().to("cpu", dtype, copy=True)
    return nn.Parameter(data, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else data


def ran_out(error: Exception) -> bool:
    """Return whether an error says that there is not enough memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(mark in text for mark in _OUT_OF_MEMORY)


def _failure(error: Exception, device: torch.device) -> ModelError:
    text = str(error).strip()
    if ran_out(error):
        way_out = (
            "a shorter --window" if device.type == "cpu" else "a shorter --window or --device cpu"
        )
        return ModelMemoryError(f"memory ran out on {device} while the model ran; try {way_out}")
    reason = (text.splitlines() or [type(error).__name__])[0].rstrip(".")
    return ModelError(
        f"the model failed on {device} ({reason[:200]}); try --device cpu or another model"
    )
