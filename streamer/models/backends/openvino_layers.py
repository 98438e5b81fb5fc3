"""The layers of an HTDemucs in the forms that OpenVINO computes fastest, with the same results.

Its convolutions keep the channels of a place together in memory. Whatever wants another order, such
as a norm or a cut through the channels, copies the whole tensor first. These forms avoid that:

- Residual branches see a spectrogram as it is, not its rows as a batch.
- A gated linear unit has two convolutions, one for each half of its channels.
- A norm between such convolutions and a convolution of one tap is part of them: mean and deviation
  of all channels follow from the few channels before.
- Transposed convolutions over time are plain ones. Those over frequencies leave out the ends that
  nobody wants.
- The transformer's group norms see tokens as they are, and its attention is one operation.

A layer of another kind stays as it is.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from demucs.hdemucs import HDecLayer, HEncLayer
from demucs.transformer import MyGroupNorm
from torch import nn
from torch.nn import functional

from streamer.models.networks.checkpoint import Network


def fast_layers(network: Network) -> Network:
    """Return a copy of an HTDemucs (`networks.hybrid.is_hybrid`) whose layers have these forms.

    It is for `networks.hybrid.HybridCore` alone.
    """
    network = copy.deepcopy(network)
    for layers, kind, fast in (
        (network.encoder, HEncLayer, _Encoder),
        (network.tencoder, HEncLayer, _Encoder),
        (network.decoder, HDecLayer, _Decoder),
        (network.tdecoder, HDecLayer, _Decoder),
    ):
        for index, layer in enumerate(layers):
            if isinstance(layer, kind):
                layers[index] = fast(layer)
    if network.crosstransformer:
        _change_tokens(network.crosstransformer)
    return network


def _change_tokens(module: nn.Module) -> None:
    """Change the group norms and the attention in a transformer."""
    for name, child in list(module.named_children()):
        if isinstance(child, MyGroupNorm) and child.num_groups == 1:
            setattr(module, name, _TokenNorm(child))
        elif isinstance(child, nn.MultiheadAttention):
            setattr(module, name, _Attention(child))
        else:
            _change_tokens(child)


class _Encoder(nn.Module):
    """An `HEncLayer`."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self._layer = layer
        self.stride = layer.stride
        self._residual = _residual(layer)
        self._gate = _gate(layer.rewrite, layer.norm2) if layer.rewrite else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layer = self._layer
        if not layer.freq and (rest := x.shape[-1] % layer.stride):
            x = functional.pad(x, (0, layer.stride - rest))
        y = functional.gelu(layer.norm1(layer.conv(x)))
        z: torch.Tensor = self._gate(self._residual(y))
        return z


class _Decoder(nn.Module):
    """An `HDecLayer`."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self._layer = layer
        self.stride = layer.stride
        self._residual = _residual(layer)
        self._gate = _gate(layer.rewrite, layer.norm1) if layer.rewrite else nn.Identity()
        if not layer.freq:
            layer.conv_tr = _Interleaved(layer.conv_tr)
        elif isinstance(layer.norm2, nn.Identity):  # a norm sees the ends, too
            layer.conv_tr.padding = (layer.pad, 0)
            layer.pad = 0

    def forward(
        self, x: torch.Tensor, skip: torch.Tensor, length: int | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        layer = self._layer
        y = self._residual(self._gate(x + skip))
        z = layer.norm2(layer.conv_tr(y))
        if not layer.freq:
            z = z[..., layer.pad : layer.pad + length]
        elif layer.pad:
            z = z[..., layer.pad : -layer.pad, :]
        return z if layer.last else functional.gelu(z), y


class _Interleaved(nn.Module):
    """A transposed convolution as a plain one whose outputs are the steps in between, in turn.

    With the channels of a place together in memory, they already lie there in that order.
    """

    def __init__(self, transposed: nn.ConvTranspose1d) -> None:
        super().__init__()
        self._stride = transposed.stride[0]
        taps = transposed.kernel_size[0] // self._stride
        inputs, outputs, _ = transposed.weight.shape
        assert transposed.kernel_size[0] == taps * self._stride
        assert transposed.bias is not None
        # output m * stride + r is the sum over taps j of input m - j times weight j * stride + r
        weight = transposed.weight.view(inputs, outputs, taps, self._stride).flip(2)
        weight = weight.permute(3, 1, 0, 2).reshape(-1, inputs, taps)
        plain = nn.Conv1d(1, 1, taps, padding=taps - 1)
        self._plain = _like(plain, weight, transposed.bias.repeat(self._stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self._plain(x).transpose(1, 2)
        batch, steps, _ = y.shape
        return y.reshape(batch, steps * self._stride, -1).transpose(1, 2)


def _gate(convolution: Any, norm: nn.Module) -> nn.Module:
    """Return a convolution, its norm and a gated linear unit."""
    if isinstance(norm, nn.Identity):
        return _Gated(convolution)
    return nn.Sequential(convolution, norm, nn.GLU(1))


class _Gated(nn.Module):
    """A convolution with a gated linear unit: a convolution for values, and one for gates."""

    def __init__(self, convolution: Any) -> None:
        super().__init__()
        halves = zip(convolution.weight.chunk(2), convolution.bias.chunk(2), strict=True)
        self._values, self._gates = (_like(convolution, *half) for half in halves)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self._values(x) * self._gates(x).sigmoid()
        return y


def _residual(layer: Any) -> nn.Module:
    """Return the residual branches of an `HEncLayer` or `HDecLayer`."""
    if not layer.dconv:
        return nn.Identity()
    return nn.Sequential(*(_Residual(one, rows=layer.freq) for one in layer.dconv.layers))


class _Residual(nn.Module):
    """A layer of HTDemucs's `DConv`: ``(batch, channels, [rows,] columns)``, row by row.

    The wide norm, before the gated linear unit, is over W h + b with few hidden values h of each
    column. The mean of that over its channels is w h + m, where w and m are the means of W and b.
    The rest, (W - w) h + (b - m), is as long as R [h, 1], where R is the triangle of the QR
    decomposition of [W - w, b - m], and as small as h. So both its moments follow from h.
    """

    def __init__(self, layer: Any, *, rows: bool) -> None:
        super().__init__()
        narrow, norm, self._act, wide, wide_norm, _, scale = layer
        self._narrow = _along_rows(narrow) if rows else narrow
        self._gain, self._shift = (_channels(one, rows) for one in (norm.weight, norm.bias))
        self._eps, self._wide_eps = norm.eps, wide_norm.eps
        weight, bias = wide.weight[..., 0].double(), wide.bias.double()[:, None]
        means, mean = weight.mean(0, keepdim=True), bias.mean(0, keepdim=True)
        rest = torch.cat([weight - means, bias - mean], 1) / len(weight) ** 0.5
        triangle = torch.linalg.qr(rest, mode="r").R
        moments = torch.cat([triangle, torch.cat([means, mean], 1)])
        many = len(moments) ** 0.5  # their squares are averaged, not added
        moments = many * moments
        self._moments = _one_tap(moments[:, :-1], moments[:, -1], rows)
        last = torch.zeros(len(moments))
        last[-1] = 1
        self._last = _channels(last, rows)  # the mean is the last of the moments
        ones = torch.ones_like(bias)
        spread = torch.cat([weight, bias, -ones / many], 1) * wide_norm.weight.double()[:, None]
        (values, gates), (value, gate) = spread.chunk(2), wide_norm.bias.double().chunk(2)
        size = scale.scale.double()
        self._values = _one_tap(values * size[:, None], value * size, rows)
        self._gates = _one_tap(gates, gate, rows)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self._narrow(x)
        y = y - y.mean((1, -1), keepdim=True)
        by = (y.square().mean((1, -1), keepdim=True) + self._eps).rsqrt()
        y = self._act(y * by * self._gain + self._shift)
        moments = self._moments(y)
        mean = moments[:, -1:].mean(-1, keepdim=True)
        squares = (moments - mean * self._last).square()
        by = (squares.mean((1, -1), keepdim=True) + self._wide_eps).rsqrt()
        one = torch.ones_like(y[:, :1])
        y = torch.cat([y * by, one * by, one * (mean * by)], 1)
        z: torch.Tensor = x + self._values(y) * self._gates(y).sigmoid()
        return z


class _TokenNorm(nn.Module):
    """A `MyGroupNorm` of one group, over ``(batch, tokens, channels)``."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self._norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.layer_norm(x, x.shape[1:], eps=self._norm.eps)
        z: torch.Tensor = y * self._norm.weight + self._norm.bias
        return z


class _Attention(nn.Module):
    """An `nn.MultiheadAttention` over ``(batch, tokens, channels)``, without masks."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        assert attention.batch_first
        self._heads = attention.num_heads
        self._out = attention.out_proj
        parts = zip(attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True)
        self._query, self._key, self._value = (
            _like(nn.Linear(1, 1, device="meta"), *part) for part in parts
        )

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **given: Any
    ) -> tuple[torch.Tensor, None]:
        assert given.get("attn_mask") is None
        assert given.get("key_padding_mask") is None
        q, k, v = (
            tokens.unflatten(-1, (self._heads, -1)).transpose(1, 2)
            for tokens in (self._query(query), self._key(key), self._value(value))
        )
        y = functional.scaled_dot_product_attention(q, k, v)
        return self._out(y.transpose(1, 2).flatten(2)), None


def _along_rows(convolution: Any) -> Any:
    """Return a convolution over columns as one over a spectrogram."""
    taps, dilation, padding = convolution.kernel_size, convolution.dilation, convolution.padding
    kind = nn.Conv2d(1, 1, (1, *taps), padding=(0, *padding), dilation=(1, *dilation))
    return _like(kind, convolution.weight[:, :, None], convolution.bias)


def _one_tap(weight: torch.Tensor, bias: torch.Tensor, rows: bool) -> Any:
    kind: Any = nn.Conv2d(1, 1, 1) if rows else nn.Conv1d(1, 1, 1)
    return _like(kind, weight.view(*weight.shape, *kind.kernel_size), bias)


def _like(module: Any, weight: torch.Tensor, bias: torch.Tensor) -> Any:
    """Return a convolution or a linear layer like another, with other numbers."""
    new = copy.copy(module)
    new._parameters = {
        name: nn.Parameter(numbers.float().contiguous(), requires_grad=False)
        for name, numbers in (("weight", weight), ("bias", bias))
    }
    return new


def _channels(values: torch.Tensor, rows: bool) -> nn.Parameter:
    """Return a number for each channel, to be multiplied with a tensor."""
    return nn.Parameter(values.detach().view(-1, *(1, 1)[: 1 + rows]), requires_grad=False)
