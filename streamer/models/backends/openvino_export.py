"""From a network of torch to a graph on disk that OpenVINO runs, one for each shape.

The Fourier transforms stay outside (`spectrum`): OpenVINO's own take several times as long as
numpy's. So do mean and deviation of the whole window: OpenVINO's sums lose 35 dB there. Shapes
are fixed, since it is much faster with them.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

from streamer.errors import ModelError
from streamer.models.backends.openvino_layers import fast_layers
from streamer.models.backends.openvino_library import load_openvino
from streamer.models.networks.checkpoint import Network
from streamer.models.networks.crop import Crop
from streamer.models.networks.hybrid import HybridCore, masks
from streamer.models.networks.mask_shape import BINS


def write_graph(network: Network, crop: Crop, path: Path) -> None:
    """Write the graph of an HTDemucs for windows of ``crop.frames`` as ``path`` (.xml and .bin).

    Its inputs are what the network sees of the window's spectrogram, ``(channels, columns, bins,
    2)``, or ``(channels, columns, bins)`` for one of masks; the window, ``(channels, frames)``; and
    the levels of both, ``(5,)`` (`HybridCore`). Its outputs are columns (or masks of them) and
    frames of all stems, for the crop alone: ``(stems * channels, cropped columns, bins, 2)`` (or
    without the 2) and ``(stems * channels, cropped frames)``.

    Raises:
        ModelError: OpenVINO does not take the network.
    """
    channels, bins = int(network.audio_channels), int(network.nfft) // 2
    parts = () if masks(network) else (2,)
    inputs = (
        torch.zeros(channels, crop.columns, bins, *parts),
        torch.zeros(channels, crop.frames),
        torch.zeros(5),
    )
    _write(_Graph(fast_layers(network), crop), inputs, path)


def write_hop_graph(network: Network, path: Path) -> None:
    """Write the graph of one hop of a `CausalBandSplit` as ``path`` (.xml and .bin).

    Its inputs are the spectrum, ``(1, channels, 1, bins, 2)``, and the state of each layer, first
    all taps, then all memories; its outputs are the masks of that spectrum, ``(1, stems, channels,
    1, bins, 2)``, and the states as they are then.

    Raises:
        ModelError: OpenVINO does not take the network.
    """
    state = network.initial_state(1)
    spectrum = torch.zeros(1, int(network.audio_channels), 1, int(network.nfft) // 2 + 1, 2)
    _write(_Hop(network), (spectrum, *state.taps, *state.memories), path)


def write_mask_graph(network: Network, columns: int, path: Path) -> None:
    """Write the graph of a `MaskUNets` for so many columns as ``path`` (.xml and .bin).

    Its input are magnitudes, ``(channels, columns, BINS)``; its output are the masks of all bins,
    ``(stems * channels, columns, bins)`` (`MaskUNets.masks`).

    Raises:
        ModelError: OpenVINO does not take the network.
    """
    seen = torch.zeros(int(network.audio_channels), columns, BINS)
    _write(_Masks(network), (seen,), path)


def _write(graph: nn.Module, inputs: tuple[torch.Tensor, ...], path: Path) -> None:
    openvino = load_openvino()
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # shapes become constants, which is what is wanted
            traced = torch.jit.trace(graph.eval(), inputs, check_trace=False)  # type: ignore[no-untyped-call]
            model = openvino.convert_model(traced, input=[list(one.shape) for one in inputs])
        openvino.save_model(model, str(path), compress_to_fp16=False)
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise ModelError(
            f"OpenVINO cannot take the model ({reason[:200]}); try --backend torch"
        ) from error


class _Graph(nn.Module):
    """`HybridCore` with the shapes that numpy wants: columns are transformed one by one."""

    def __init__(self, network: Network, crop: Crop) -> None:
        super().__init__()
        self._core = HybridCore(network, crop)

    def forward(
        self, columns: torch.Tensor, mix: torch.Tensor, levels: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        if columns.dim() == 3:
            x, xt = self._core.layers(columns.transpose(1, 2)[None], mix[None], levels[None])
            x = x.reshape(-1, *x.shape[-2:]).transpose(1, 2)
            return x, xt.reshape(-1, xt.shape[-1])
        channels, number, bins, _ = columns.shape
        spectrum = columns.permute(0, 3, 2, 1).reshape(1, 2 * channels, bins, number)
        x, xt = self._core.layers(spectrum, mix[None], levels[None])
        x = x.reshape(-1, 2, bins, x.shape[-1]).permute(0, 3, 2, 1)
        return x, xt.reshape(-1, xt.shape[-1])


class _Hop(nn.Module):
    """`CausalBandSplit.masks_of`, with its state as tensors."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def forward(self, spectrum: torch.Tensor, *layers: torch.Tensor) -> tuple[torch.Tensor, ...]:
        depth = len(layers) // 2
        state = self._network.initial_state(1)
        state.taps, state.memories = list(layers[:depth]), list(layers[depth:])
        masks = self._network.masks_of(spectrum, state)
        return (masks, *state.taps, *state.memories)


class _Masks(nn.Module):
    """`MaskUNets.masks` of one window."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        masks: torch.Tensor = self._network.masks(seen[None])
        return masks.reshape(-1, *masks.shape[-2:])
