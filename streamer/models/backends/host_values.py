"""Values that a network's forward pass takes from the host, recorded and given again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_READS: tuple[object, ...] = (
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.equal.default,
)
_COPY: object = torch.ops.aten._to_copy.default


class HostValues(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records what calls between host and device give; then gives the same again, without them.

    A CUDA graph cannot contain such a call. Demucs makes some in every forward pass. It asserts
    that padding did not change its signal. `torch.istft` checks that its window is nowhere zero.
    The windows and position embeddings are made on the CPU and copied. None of these depends on the
    audio, so the values of one window are right for every other of the same shape. In inference
    mode torch hides some of these calls, so use it under `torch.no_grad`.

    ::

        values = HostValues()
        with values:
            network(mix)
        with values.again():
            network(mix)
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._kept: list[Any] = []
        self._again: Iterator[Any] | None = None

    def again(self) -> Self:
        """From now on give the recorded values, from the first one on."""
        self._again = iter(self._kept)
        return self

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation of torch, or give its recorded value."""
        kwargs = kwargs or {}
        if not (func in _READS or (func is _COPY and _leaves_host(args[0], kwargs.get("device")))):
            return func(*args, **kwargs)
        if self._again is not None:
            return next(self._again)
        self._kept.append(func(*args, **kwargs))
        return self._kept[-1]


def _leaves_host(tensor: torch.Tensor, device: torch.device | None) -> bool:
    return tensor.device.type == "cpu" and device is not None and device.type != "cpu"
