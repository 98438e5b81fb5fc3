"""HTDemucs's forward pass between its two Fourier transforms; its decoder for a part of a window.

It computes the same as `demucs.htdemucs.HTDemucs.forward`, with its layers, in its order. Two
things need it. A graph for another library has the transforms outside (`openvino_graphs`). And only
the newest stretch of a live window is played. The encoder and the transformer see the whole window.
The decoder's layers look a few columns to each side, so it is computed for the wanted stretch and a
halo, and gives the same there. (Not where its layers normalise over the whole window, as those of
the published htdemucs do: then it is computed whole.)

What a network sees of the spectrum, and makes, are complex values as channels (``cac``), or
compressed magnitudes and masks (`masked`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from demucs.hdemucs import HDecLayer
from demucs.htdemucs import HTDemucs
from torch import nn

from streamer.models.networks.checkpoint import Network
from streamer.models.networks.crop import Crop
from streamer.models.networks.masked import MaskedHTDemucs
from streamer.models.networks.spectrum import compressed

_LEAST_DEVIATION = 1e-5
_OVERLAP_COLUMNS = 2
"""This many columns on each side of a frame contribute to it in the inverse transform."""


def is_hybrid(network: Network) -> bool:
    """Return whether a network is an HTDemucs whose two branches stay apart (`HybridCore`)."""
    return (
        isinstance(network, HTDemucs)
        and (network.cac or masks(network))
        and len(network.tencoder) == len(network.encoder)
        and not any(layer.empty for layer in network.tencoder)
    )


def masks(network: Network) -> bool:
    """Return whether a network makes masks, not spectra."""
    return isinstance(network, MaskedHTDemucs)


def halo_columns(network: Network) -> int | None:
    """Return how many columns the decoder must see beside the wanted ones.

    None: all columns, since some layer normalises over the whole window, or is not known.
    """
    if not is_hybrid(network):
        return None
    layers = [*network.decoder, *network.tdecoder]
    if not all(isinstance(layer, HDecLayer) for layer in layers):
        return None
    norms = [layer.norm2 for layer in layers] + [layer.norm1 for layer in layers if layer.rewrite]
    if not all(isinstance(norm, nn.Identity) for norm in norms):
        return None
    if any(layer.dconv is not None for layer in layers):  # its layers normalise
        return None
    if network.hop_length % _stride(network):
        return None
    columns = sum(map(_context, network.decoder)) + _OVERLAP_COLUMNS
    stride, frames = _stride(network), 0
    for layer in network.tdecoder:
        frames += (_context(layer) + 1) * stride
        stride //= int(layer.stride)
    return max(columns, -(-frames // int(network.hop_length)))


class HybridCore(nn.Module):
    """The layers of an HTDemucs, with the decoder for a crop of the window.

    Args:
        network: see `is_hybrid`.
        crop: which columns are wanted, with the halo (`halo_columns`).
    """

    def __init__(self, network: Network, crop: Crop) -> None:
        super().__init__()
        self.network = network
        self._crop = crop

    def forward(
        self, spectrum: torch.Tensor, mix: torch.Tensor, levels: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Return the stems' spectra and waves; their sum, after the inverse transform, is the
        stems.

        Shape:
            spectrum: ``(batch, 2 * channels, bins, columns)``, real and imaginary parts in turn.
            mix: ``(batch, channels, frames)``.
            levels: ``(batch, 5)``, the mean magnitude of the spectrum, mean and deviation of what
            the network sees of it, mean and deviation of the mix.
            returns: ``(batch, stems, 2 * channels, bins, cropped columns)`` and
            ``(batch, stems, channels, cropped frames)``.
        """
        if not masks(self.network):
            return self.layers(spectrum, mix, levels)
        magnitude = levels[:, :1, None, None]
        x, xt = self.layers(compressed(_abs(spectrum), magnitude), mix, levels)
        part = slice(self._crop.begin, self._crop.end)
        x = (x.unsqueeze(3) * _pairs(spectrum[..., part])[:, None]).flatten(2, 3)
        return x, xt

    def layers(
        self, values: torch.Tensor, mix: torch.Tensor, levels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the stems' spectra, or their masks, and waves; see `forward`.

        ``values`` are what the network sees of the spectrum: all of it, ``(batch, 2 * channels,
        bins, columns)``, or compressed magnitudes, ``(batch, channels, bins, columns)``. The masks
        are ``(batch, stems, channels, bins, cropped columns)``.
        """
        network = self.network
        mean, deviation = levels[:, 1:3, None, None, None].unbind(1)
        mean_t, deviation_t = levels[:, 3:, None, None].unbind(1)
        x = (values - mean) / (_LEAST_DEVIATION + deviation)
        xt = (mix - mean_t) / (_LEAST_DEVIATION + deviation_t)
        saved, saved_t, lengths_t = [], [], []
        for index, (encode, encode_t) in enumerate(
            zip(network.encoder, network.tencoder, strict=True)
        ):
            lengths_t.append(xt.shape[-1])
            x, xt = encode(x), encode_t(xt)
            if index == 0 and network.freq_emb is not None:
                rows = torch.arange(x.shape[-2], device=x.device)
                emb = network.freq_emb(rows).t()[None, :, :, None].expand_as(x)
                x = x + network.freq_emb_scale * emb
            saved.append(x)
            saved_t.append(xt)
        x, xt = self._transform(x, xt)
        x, xt = self._decode(x, xt, saved, saved_t, lengths_t)
        stems = len(network.sources)
        batch, _, bins, columns = x.shape
        x = x.view(batch, stems, -1, bins, columns) * deviation[:, None] + mean[:, None]
        xt = xt.view(batch, stems, -1, xt.shape[-1]) * deviation_t[:, None] + mean_t[:, None]
        return x.softmax(1) if masks(network) else x, xt

    def _transform(self, x: torch.Tensor, xt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        network = self.network
        if not network.crosstransformer:
            return x, xt
        batch, channels, rows, columns = x.shape
        if network.bottom_channels:
            x = network.channel_upsampler(x.reshape(batch, channels, rows * columns))
            x = x.view(batch, -1, rows, columns)
            xt = network.channel_upsampler_t(xt)
        x, xt = network.crosstransformer(x, xt)
        if network.bottom_channels:
            x = network.channel_downsampler(x.reshape(batch, -1, rows * columns))
            x = x.view(batch, channels, rows, columns)
            xt = network.channel_downsampler_t(xt)
        return x, xt

    def _decode(
        self,
        x: torch.Tensor,
        xt: torch.Tensor,
        saved: list[torch.Tensor],
        saved_t: list[torch.Tensor],
        lengths_t: list[int],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        network, crop = self.network, self._crop
        part = slice(crop.begin, crop.end)
        ratio = crop.hop_frames // _stride(network)  # steps of the time branch in a column
        x, xt = x[..., part], xt[..., crop.begin * ratio : crop.end * ratio]
        for decode, decode_t in zip(network.decoder, network.tdecoder, strict=True):
            skip, skip_t = saved.pop(), saved_t.pop()
            begin, end = crop.begin * ratio, crop.end * ratio
            ratio *= decode_t.stride
            length_t = min(lengths_t.pop(), crop.end * ratio) - crop.begin * ratio
            x, _ = decode(x, skip[..., part], None)
            xt, _ = decode_t(xt, skip_t[..., begin:end], length_t)
        return x, xt


def separate_part(network: Network, mix: torch.Tensor, wanted: slice, halo: int) -> torch.Tensor:
    """Return the ``wanted`` frames of ``network(mix)``, ``(batch, stems, channels, n)``.

    ``mix`` is ``(batch, channels, frames)``, as long as the network sees at once.
    """
    whole = Crop.whole(mix.shape[-1], network.hop_length)
    crop = whole.around(wanted, halo)
    spectrum = network._spec(mix)
    magnitude, _ = _level(spectrum.abs())
    levels = [magnitude, *_level(network._magnitude(spectrum)), *_level(mix)]
    parts = torch.view_as_real(spectrum).permute(0, 1, 4, 2, 3).flatten(1, 2)
    x, xt = HybridCore(network, crop)(parts, mix, torch.stack(levels, dim=1))
    stems = torch.view_as_complex(_pairs(x).permute(0, 1, 2, 4, 5, 3).contiguous())
    sound = network._ispec(stems, crop.end_frame - crop.begin_frame)
    part: torch.Tensor = (sound + xt)[..., crop.within(wanted)]
    return part


def _pairs(x: torch.Tensor) -> torch.Tensor:
    """Return ``(..., 2 * channels, bins, columns)`` as ``(..., channels, 2, bins, columns)``."""
    return x.reshape(*x.shape[:-3], -1, 2, *x.shape[-2:])


def _abs(spectrum: torch.Tensor) -> torch.Tensor:
    """Return the magnitudes of real and imaginary parts in turn."""
    return _pairs(spectrum).square().sum(-3).sqrt()


def _level(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    every = tuple(range(1, x.dim()))
    return x.mean(dim=every), x.std(dim=every)


def _stride(network: Network) -> int:
    """Return the frames of one step of the time branch where it meets the transformer."""
    return math.prod(int(layer.stride) for layer in network.tencoder)


def _context(layer: Any) -> int:
    """Return how many steps to each side a decoder's layer looks."""
    return int(layer.rewrite.kernel_size[-1]) // 2 if layer.rewrite else 0
