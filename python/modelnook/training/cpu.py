"""What a CPU lacks in torch itself, all of it together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from modelnook.training.attention import fast_attention
from modelnook.training.dropout import fast_dropout
from modelnook.training.memory import keep_memory

__all__ = ["quick_on_cpu"]


@contextmanager
def quick_on_cpu(model: Any, device: torch.device) -> Iterator[None]:
    """Train quickly on a CPU; an accelerator has kernels of its own for it."""
    if device.type != "cpu":
        yield
        return
    with keep_memory(), fast_attention(model), fast_dropout(model):
        yield
