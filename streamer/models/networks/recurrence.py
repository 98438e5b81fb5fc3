"""A linear recurrence over time: the part of a network that must be stepped through."""

from __future__ import annotations

from typing import Any

import torch


def recur(kept: torch.Tensor, new: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Return ``h`` with ``h[t] = kept[t] * h[t - 1] + new[t]`` and ``h[-1] = before``.

    ``kept`` and ``new`` are ``(times, ...)``, ``before`` is one time of that; no gradient goes into
    ``before``.
    """
    if not torch.is_grad_enabled():
        return _stepped(kept, new, before)
    remembered: torch.Tensor = _Recurrence.apply(kept, new, before)  # type: ignore[no-untyped-call]
    return remembered


def _stepped(kept: torch.Tensor, new: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    remembered = [before]
    for a, b in zip(kept.unbind(), new.unbind(), strict=True):
        remembered.append(torch.addcmul(b, a, remembered[-1]))
    return torch.stack(remembered[1:])


class _Recurrence(torch.autograd.Function):
    """One pass forward and one back; autograd by itself would keep a graph of every time."""

    @staticmethod
    def forward(
        ctx: Any, kept: torch.Tensor, new: torch.Tensor, before: torch.Tensor
    ) -> torch.Tensor:
        remembered = _stepped(kept, new, before)
        ctx.save_for_backward(kept, remembered, before)
        return remembered

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        kept, remembered, before = ctx.saved_tensors
        to_new = gradients[0].clone()
        times = to_new.unbind()
        for time in range(len(times) - 2, -1, -1):
            times[time].addcmul_(kept[time + 1], times[time + 1])
        to_kept = to_new * torch.cat([before[None], remembered[:-1]])
        return to_kept, to_new, None
