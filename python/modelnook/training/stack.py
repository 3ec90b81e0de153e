"""Where a model's layers stand, one on the other."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

__all__ = ["layer_stack"]


def layer_stack(model: Any) -> nn.ModuleList | None:
    """The body's layers: its longest list of modules; convolutions that only prepare a sound don't count."""
    lists = [m for m in model.base_model.modules() if isinstance(m, nn.ModuleList) and len(m) > 1]
    return max(
        lists, key=lambda m: (any(isinstance(part, (nn.Linear, Conv1D)) for part in m.modules()), len(m)), default=None
    )
