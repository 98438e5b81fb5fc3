"""From a network of torch to a graph on disk that OpenVINO runs, one for each shape.

The Fourier transforms stay outside (`spectrum`): OpenVINO's own take several times as long as
numpy's. So do mean and deviation of the whole window, of which OpenVINO's sums lose 35 dB. Shapes
are fixed, since it is much faster with them.
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import torch
from torch import nn

from streamer.errors import ModelError
from streamer.models.backends.openvino_library import load_openvino
from streamer.models.networks.checkpoint import Network
from streamer.models.networks.crop import Crop
from streamer.models.networks.hybrid import HybridCore


def write_graph(network: Network, crop: Crop, path: Path) -> None:
    """Write the graph of an HTDemucs for windows of ``crop.frames`` as ``path`` (.xml and .bin).

    Its inputs are the columns of the window's spectrogram, ``(channels, columns, bins, 2)``, the
    window, ``(channels, frames)``, and the levels of both, ``(5,)`` (`HybridCore`); its outputs are
    columns and frames of all stems, for the crop alone: ``(stems * channels, cropped columns, bins,
    2)`` and ``(stems * channels, cropped frames)``.

    Raises:
        ModelError: OpenVINO does not take the network.
    """
    channels, bins = int(network.audio_channels), int(network.nfft) // 2
    inputs = (
        torch.zeros(channels, crop.columns, bins, 2),
        torch.zeros(channels, crop.frames),
        torch.zeros(5),
    )
    _write(_Graph(_with_plain_convolutions(network), crop), inputs, path)


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
        channels, number, bins, _ = columns.shape
        spectrum = columns.permute(0, 3, 2, 1).reshape(1, 2 * channels, bins, number)
        x, xt = self._core(spectrum, mix[None], levels[None])
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


def _with_plain_convolutions(network: Network) -> Network:
    """Return the network with the time branch's transposed convolutions as plain ones.

    OpenVINO has fast kernels for the plain ones only.
    """
    network = copy.deepcopy(network)
    for layer in network.tdecoder:
        layer.conv_tr = _Interleaved(layer.conv_tr)
    return network


class _Interleaved(nn.Module):
    """A transposed convolution as a plain one whose outputs are the steps in between, in turn."""

    def __init__(self, transposed: nn.ConvTranspose1d) -> None:
        super().__init__()
        self._stride = transposed.stride[0]
        taps = transposed.kernel_size[0] // self._stride
        inputs, self._outputs, _ = transposed.weight.shape
        assert transposed.kernel_size[0] == taps * self._stride
        assert transposed.bias is not None
        # output m * stride + r is the sum over taps j of input m - j times weight j * stride + r
        weight = transposed.weight.view(inputs, self._outputs, taps, self._stride).flip(2)
        steps = self._stride * self._outputs
        self._plain = nn.Conv1d(inputs, steps, taps, padding=taps - 1).requires_grad_(False)
        self._plain.weight.copy_(weight.permute(3, 1, 0, 2).reshape(steps, inputs, taps))
        assert self._plain.bias is not None
        self._plain.bias.copy_(transposed.bias.repeat(self._stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self._plain(x)
        batch, _, steps = y.shape
        y = y.view(batch, self._stride, self._outputs, steps).permute(0, 2, 3, 1)
        return y.reshape(batch, self._outputs, steps * self._stride)
