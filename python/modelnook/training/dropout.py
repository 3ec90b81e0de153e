"""Dropout on a CPU at a fraction of the cost: one 64-bit draw makes four keep-or-drop decisions.

torch draws each decision of a CPU mask by itself, one after the other; in a small encoder that is a quarter of a
training step. Here a share ``p`` is kept to within 1/65536, and what is kept is scaled by exactly the share drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

__all__ = ["fast_dropout", "keep"]

LEVELS = 65536


def keep(shape: torch.Size, p: float, dtype: torch.dtype) -> tuple[torch.Tensor, float]:
    """A mask of ones and zeros in ``dtype``, and the factor that keeps the mean. Draws from torch's own generator."""
    dropped = min(LEVELS - 1, max(1, round(p * LEVELS)))
    count = shape.numel()
    # From the smallest number, without an upper end: all 64 bits are drawn.
    lanes = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    chosen = lanes.view(torch.int16)[:count].view(shape)
    mask = torch.empty(shape, dtype=dtype)
    torch.ge(chosen, dropped - LEVELS // 2, out=mask)
    return mask, LEVELS / (LEVELS - dropped)


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, p: float) -> torch.Tensor:
        mask, ctx.scale = keep(x.shape, p, x.dtype)
        ctx.save_for_backward(mask)
        return (x * mask).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (mask,) = ctx.saved_tensors
        return (grads[0] * mask).mul_(ctx.scale), None


class FastDropout(nn.Dropout):
    """``nn.Dropout`` with the quick mask; a module's class is swapped for it, its state is the same."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Drop in training, else give the input."""
        if not self.training or not 0 < self.p < 1 or input.device.type != "cpu":
            return super().forward(input)
        found: torch.Tensor = _Drop.apply(input, self.p)
        return found


@contextmanager
def fast_dropout(model: nn.Module) -> Iterator[None]:
    """Within it, the model's dropout layers are quick ones."""
    swapped = [m for m in model.modules() if type(m) is nn.Dropout and not m.inplace]
    for module in swapped:
        module.__class__ = FastDropout
    try:
        yield
    finally:
        for module in swapped:
            module.__class__ = nn.Dropout
